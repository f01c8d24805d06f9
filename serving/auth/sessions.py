"""Signed sessions and other short statements that a browser keeps for us."""

import hashlib
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from itsdangerous import BadData, URLSafeSerializer
from starlette.responses import Response

from serving.auth.principal import Grant, Principal

COOKIE = "foreact_session"
FLOW = "foreact_login"
# How long a person may take at the provider.
FLOW_SECONDS = 600


class Signer:
    """Signs small JSON statements for one purpose each, and believes only its own that are still valid."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock

    def sign(self, purpose: str, statement: dict[str, Any], seconds: float) -> str:
        """Return a text that `read` believes for a while."""
        return str(self._serializer(purpose).dumps({**statement, "exp": int(self._clock() + seconds)}))

    def read(self, purpose: str, text: str) -> dict[str, Any] | None:
        """Return the statement, or None if it is not ours, for another purpose, or too old."""
        try:
            statement = self._serializer(purpose).loads(text)
        except BadData:
            return None
        return statement if statement["exp"] > self._clock() else None

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        return URLSafeSerializer(self._secret, purpose, signer_kwargs={"digest_method": hashlib.sha256})


class Sessions:
    """Turns principals into cookies and back."""

    def __init__(self, signer: Signer, hours: float, *, https: bool) -> None:
        self.signer = signer
        self.https = https
        # A browser takes a cookie so named from this host alone, over https alone.
        self.cookie = f"__Host-{COOKIE}" if https else COOKIE
        self.seconds = hours * 3600

    def issue_cookie(self, principal: Principal) -> str:
        """Make the cookie of a new login."""
        return self.signer.sign(
            "session",
            {
                "id": principal.id,
                "name": principal.name[:100],
                "grant": Grant.of(principal.role, principal.scope).to_json(),
                "acts": Grant.of(principal.role, principal.action_scope).to_json() if principal.action_scope else None,
                "csrf": secrets.token_urlsafe(18),
            },
            self.seconds,
        )

    def set_cookie(self, response: Response, principal: Principal) -> None:
        """Log a browser in."""
        response.set_cookie(
            self.cookie,
            self.issue_cookie(principal),
            max_age=int(self.seconds),
            path="/",
            secure=self.https,
            httponly=True,
            samesite="lax",
        )

    def delete_cookie(self, response: Response) -> None:
        """Log a browser out."""
        response.delete_cookie(self.cookie, path="/", secure=self.https, httponly=True, samesite="lax")

    def read_cookie(self, cookie: str) -> Principal | None:
        """Return the principal of a cookie."""
        statement = self.signer.read("session", cookie)
        if statement is None:
            return None
        grant = Grant.model_validate(statement["grant"])
        acts = Grant.model_validate(statement["acts"]).to_scope() if statement["acts"] else None
        return Principal(statement["id"], statement["name"], grant.to_role(), grant.to_scope(), acts, statement["csrf"])


def load_secret(workspace: Path) -> bytes:
    """Return this machine's own signing secret, made at first use; logins outlive a restart."""
    path = workspace / "serving" / "session.secret"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        kept = path.read_bytes()
        if len(kept) >= 32:
            return kept
        path.unlink()
        return load_secret(workspace)
    with os.fdopen(descriptor, "wb") as file:
        secret = secrets.token_bytes(48)
        file.write(secret)
    return secret
