"""A small OpenID provider in Entra ID's conventions: real HTTP, real keys, real signatures.

It checks what a provider checks (client, redirect URI, PKCE, one use of a code) and signs with RS256. Tests say who
logs in next, and what goes wrong.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "foreact-app", "the client's secret"


class Provider:
    """One tenant."""

    def __init__(self) -> None:
        self.key_id = "key-1"
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.claims: dict[str, Any] = {}
        # What the next token claims instead of the truth.
        self.lies: dict[str, Any] = {}
        self.sign_with: Any = None
        # A federated credential in place of the client's secret.
        self.trusted_token: str | None = None
        self.codes: dict[str, dict[str, str]] = {}
        self.redirect_uri = "http://127.0.0.1:8000/login/callback"
        handler = type("Handler", (_Handler,), {"provider": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}/tenant/v2.0"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def change_key(self) -> None:
        self.key_id = "key-2"
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }

    def keys(self) -> dict[str, Any]:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": self.key_id, "use": "sig", "alg": "RS256"}]}

    def authorize(self, query: dict[str, str]) -> str:
        assert query["client_id"] == CLIENT
        assert query["response_type"] == "code"
        assert query["redirect_uri"] == self.redirect_uri
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return f"{self.redirect_uri}?{urlencode({'code': code, 'state': query['state']})}"

    def knows_client(self, form: dict[str, str]) -> bool:
        """Return whether the client proves itself: by its secret, or by the token that is trusted instead of one."""
        if self.trusted_token is None:
            return form.get("client_secret") == SECRET
        asserted = form.get("client_assertion_type"), form.get("client_assertion")
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        return asserted == (kind, self.trusted_token) and "client_secret" not in form

    def exchange(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        good = (
            asked is not None
            and form.get("client_id") == CLIENT
            and self.knows_client(form)
            and form.get("redirect_uri") == self.redirect_uri
            and challenge == asked["code_challenge"]
        )
        if not good or asked is None:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "pairwise-subject",
            "iat": now,
            "exp": now + 3600,
            "nonce": asked["nonce"],
            "ver": "2.0",
            **self.claims,
            **self.lies,
        }
        headers = {"kid": self.key_id}
        return 200, {
            "token_type": "Bearer",
            "id_token": jwt.encode(claims, self.sign_with or self.key, "RS256", headers),
        }


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        name = url.path.rpartition("/")[2]
        if name == "openid-configuration":
            self._answer(200, self.provider.metadata())
        elif name == "keys":
            self._answer(200, self.provider.keys())
        elif name == "authorize":
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            self.send_response(302)
            self.send_header("location", self.provider.authorize(query))
            self.end_headers()
        else:
            self._answer(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self._answer(*self.provider.exchange({key: values[0] for key, values in parse_qs(body).items()}))

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        pass
