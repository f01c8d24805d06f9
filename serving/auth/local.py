"""One login for one person on this machine: printed at the start, valid nowhere else."""

import hashlib
import hmac
import secrets
import threading

from serving.auth.principal import EVERYTHING, Principal, Role

ACCOUNT = "demo"


class LocalLogin:
    """A password made at random, and a link that logs in once without it."""

    def __init__(self, password: str | None = None) -> None:
        # The password may be read aloud or typed, so it has no characters that look alike.
        alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
        self.password = password or "-".join("".join(secrets.choice(alphabet) for _ in range(4)) for _ in range(4))
        self.token = secrets.token_urlsafe(24)
        self._lock = threading.Lock()
        self._used = False

    @property
    def principal(self) -> Principal:
        """Return the account that logs in; it may do everything here."""
        return Principal(f"local:{ACCOUNT}", "Demo planner", Role.admin, EVERYTHING)

    def accepts_password(self, account: str, password: str) -> bool:
        """Return whether account and password are right; the time that takes reveals nothing."""
        same = hmac.compare_digest(_hash_text(password), _hash_text(self.password))
        return hmac.compare_digest(_hash_text(account), _hash_text(ACCOUNT)) and same

    def redeem_token(self, token: str) -> bool:
        """Return whether the link's token is right and was not used before; use it up."""
        if not hmac.compare_digest(_hash_text(token), _hash_text(self.token)):
            return False
        with self._lock:
            first, self._used = not self._used, True
        return first


def _hash_text(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
