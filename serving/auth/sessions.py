"""Signed sessions, and other short statements that a browser stores for the service."""

import hashlib
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from itsdangerous import BadData, URLSafeSerializer
from starlette.responses import Response

from serving.auth.ended import EndedSessions
from serving.auth.principal import Grant, Principal

COOKIE = "foreact_session"
FLOW = "foreact_login"
# How long a sign-in at the provider may take.
FLOW_SECONDS = 600


class Signer:
    """Signs small JSON statements for one purpose each, and reads only its own that are still valid."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock

    def sign(self, purpose: str, statement: dict[str, Any], seconds: float) -> str:
        """Return the signed statement, which `read` accepts for some seconds."""
        return str(self._serializer(purpose).dumps({**statement, "exp": int(self._clock() + seconds)}))

    def read(self, purpose: str, text: str) -> dict[str, Any] | None:
        """Return the statement; None if its signature is not ours, its purpose is another, or it has expired."""
        try:
            statement = self._serializer(purpose).loads(text)
        except BadData:
            return None
        return statement if statement["exp"] > self._clock() else None

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        return URLSafeSerializer(self._secret, purpose, signer_kwargs={"digest_method": hashlib.sha256})


class Sessions:
    """Turns principals into cookies and back."""

    def __init__(self, signer: Signer, ended: EndedSessions, hours: float, *, https: bool) -> None:
        self.signer = signer
        self.ended = ended
        self.https = https
        # Browsers accept a cookie with this prefix only from the host itself, over https.
        self.cookie = f"__Host-{COOKIE}" if https else COOKIE
        self.seconds = hours * 3600

    def issue_cookie(self, principal: Principal) -> str:
        """Return the cookie of a new login."""
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
        """Set the session's cookie, which logs the browser in."""
        response.set_cookie(
            self.cookie,
            self.issue_cookie(principal),
            max_age=int(self.seconds),
            path="/",
            secure=self.https,
            httponly=True,
            samesite="lax",
        )

    def end_session(self, response: Response, cookie: str) -> None:
        """End a session, of which others may have a copy of the cookie, and delete the cookie."""
        statement = self.signer.read("session", cookie)
        if statement is not None:
            self.ended.end_session(_name_session(statement), float(statement["exp"]))
        response.delete_cookie(self.cookie, path="/", secure=self.https, httponly=True, samesite="lax")

    def read_cookie(self, cookie: str) -> Principal | None:
        """Return the principal of a cookie; None if the cookie is not valid, or its session was ended."""
        statement = self.signer.read("session", cookie)
        if statement is None or _name_session(statement) in self.ended:
            return None
        grant = Grant.model_validate(statement["grant"])
        action_scope = Grant.model_validate(statement["acts"]).to_scope() if statement["acts"] else None
        return Principal(
            id=statement["id"],
            name=statement["name"],
            role=grant.to_role(),
            scope=grant.to_scope(),
            action_scope=action_scope,
            csrf=statement["csrf"],
        )


def _name_session(statement: dict[str, Any]) -> str:
    """Return a session's name, from which nobody learns its token."""
    return hashlib.blake2b(str(statement["csrf"]).encode(), digest_size=12).hexdigest()


def load_secret(workspace: Path) -> bytes:
    """Return this machine's own signing secret, created at first use, so that logins survive a restart."""
    path = workspace / "serving" / "session.secret"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        stored = path.read_bytes()
        if len(stored) >= 32:
            return stored
        path.unlink()
        return load_secret(workspace)
    with os.fdopen(descriptor, "wb") as file:
        secret = secrets.token_bytes(48)
        file.write(secret)
    return secret
