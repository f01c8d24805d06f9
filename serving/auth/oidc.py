"""Single sign-on by OpenID Connect: Authorization Code with PKCE, in Entra ID's conventions.

A person's roles come from the claims `roles` (app roles) and `groups` (group ids), by what the settings grant for each.
The account's id is the directory's object id, which reveals nothing about the person.
"""

import base64
import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt
from pydantic import TypeAdapter, ValidationError

from foreact.errors import ForeactError
from serving.auth.principal import Grant, Principal, Role, Scope
from serving.auth.sessions import FLOW_SECONDS, Signer
from serving.errors import SignInFailed

log = logging.getLogger(__name__)
ALGORITHMS = ("RS256", "PS256", "ES256")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEYS_SECONDS = 3600
LEEWAY_SECONDS = 60


class SingleSignOn:
    """One provider, and what its claims grant."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str,
        grants: Mapping[str, Grant],
        signer: Signer,
        http: httpx.Client,
        *,
        assertion_file: Path | None = None,
        scopes: str = "openid profile",
    ) -> None:
        self.issuer = issuer.rstrip("/")
        self._client_id = client_id
        self._client_secret = client_secret
        self._grants = dict(grants)
        self._signer = signer
        self._http = http
        self._assertion_file = assertion_file
        self._scopes = scopes
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] | None = None
        self._keys: jwt.PyJWKSet | None = None
        self._keys_at = 0.0

    def begin_sign_in(self, redirect_uri: str, target: str) -> tuple[str, str]:
        """Return the address to send the person to, and a signed text that their browser must bring back."""
        verifier = secrets.token_urlsafe(48)
        flow = {
            "state": secrets.token_urlsafe(24),
            "nonce": secrets.token_urlsafe(24),
            "verifier": verifier,
            "target": target,
        }
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": self._client_id,
            "response_type": "code",
            "response_mode": "query",
            "redirect_uri": redirect_uri,
            "scope": self._scopes,
            "state": flow["state"],
            "nonce": flow["nonce"],
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = self._read_metadata()["authorization_endpoint"]
        joiner = "&" if "?" in endpoint else "?"
        return endpoint + joiner + urlencode(query), self._signer.sign("oidc", flow, FLOW_SECONDS)

    def find_flow(self, flow_text: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        """Return the sign-in that an answer of the provider belongs to; None if this browser has begun none like it."""
        flow = self._signer.read("oidc", flow_text)
        state = query.get("state", "").encode("utf-8", "surrogatepass")
        return flow if flow is not None and hmac.compare_digest(flow["state"].encode(), state) else None

    def complete_sign_in(self, redirect_uri: str, flow_text: str, query: Mapping[str, str]) -> tuple[Principal, str]:
        """Return the person who signed in, and the page that they asked for."""
        flow = self.find_flow(flow_text, query)
        if flow is None:
            raise SignInFailed("the sign-in took too long or began in another window; begin again")
        if "error" in query:
            raise SignInFailed("the provider did not sign you in; begin again, or ask your administrator")
        claims = self._decode_claims(self._fetch_token(redirect_uri, query.get("code", ""), flow["verifier"]))
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), flow["nonce"].encode()):
            raise SignInFailed("the provider answered another sign-in; begin again")
        return self._make_principal(claims), str(flow["target"])

    def _fetch_token(self, redirect_uri: str, code: str, verifier: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "client_id": self._client_id,
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        form |= self._prove_client()
        try:
            answer = self._http.post(self._read_metadata()["token_endpoint"], data=form)
            token = answer.json().get("id_token") if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError):
            raise SignInFailed("the provider does not answer; try again in a minute") from None
        if not isinstance(token, str):
            raise SignInFailed("the provider did not accept the sign-in; begin again")
        return token

    def _prove_client(self) -> dict[str, str]:
        """Return what proves who asks: a secret, or a token of ours that the provider trusts; nothing if public."""
        if self._client_secret:
            return {"client_secret": self._client_secret}
        if self._assertion_file is None:
            return {}
        try:
            # Kubernetes replaces it while the service runs.
            token = self._assertion_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            log.warning("FOREACT_OIDC_ASSERTION_FILE %s cannot be read", self._assertion_file)
            raise SignInFailed("the service cannot prove who it is; ask your administrator") from None
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": token}

    def _decode_claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            claims: dict[str, Any] = jwt.decode(
                token,
                self._find_key(str(header.get("kid", ""))),
                algorithms=ALGORITHMS,
                audience=self._client_id,
                issuer=str(self._read_metadata()["issuer"]),
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError:
            raise SignInFailed("the provider's answer cannot be trusted; ask your administrator") from None
        return claims

    def _find_key(self, key_id: str) -> jwt.PyJWK:
        """Return the provider's key; fetch the keys anew for an unknown one, as providers change them."""
        with self._lock:
            for fetch in (False, True):
                if fetch or self._keys is None or time.monotonic() - self._keys_at > KEYS_SECONDS:
                    self._keys = jwt.PyJWKSet.from_dict(self._fetch_json(self._read_metadata()["jwks_uri"]))
                    self._keys_at = time.monotonic()
                for key in self._keys.keys:
                    if key.key_id == key_id:
                        return key
        raise SignInFailed("the provider signs with a key that it does not publish; ask your administrator")

    def _make_principal(self, claims: Mapping[str, Any]) -> Principal:
        if "groups" in claims.get("_claim_names", {}):
            raise SignInFailed("you are in too many groups for the provider to name them; ask for an app role")
        named = [*_list_texts(claims.get("roles")), *_list_texts(claims.get("groups"))]
        granted = [self._grants[name] for name in named if name in self._grants]
        if not granted:
            raise SignInFailed("your account has no role in this service; ask your administrator for one")
        role = max(grant.to_role() for grant in granted)
        visible = reduce(or_, (grant.to_scope() for grant in granted), Scope())
        # A planner of the north who is a viewer of the south must not refresh stores in the south.
        changeable = reduce(or_, (grant.to_scope() for grant in granted if grant.to_role() >= Role.planner), Scope())
        account = str(claims.get("oid") or claims["sub"])
        name = str(claims.get("name") or claims.get("preferred_username") or "")
        return Principal(f"user:{account[:100]}", name[:100], role, visible, changeable)

    def _read_metadata(self) -> dict[str, Any]:
        if self._metadata is None:
            found = self._fetch_json(f"{self.issuer}/.well-known/openid-configuration")
            if str(found.get("issuer", "")).rstrip("/") != self.issuer:
                raise SignInFailed("the provider's issuer differs from FOREACT_OIDC_ISSUER")
            self._metadata = found
        return self._metadata

    def _fetch_json(self, url: str) -> dict[str, Any]:
        try:
            answer = self._http.get(url)
            answer.raise_for_status()
            found = answer.json()
        except (httpx.HTTPError, ValueError):
            raise SignInFailed("the provider does not answer; try again in a minute") from None
        if not isinstance(found, dict):
            raise SignInFailed("the provider's answer is not valid; ask your administrator")
        return found


def _list_texts(value: object) -> list[str]:
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []


def read_grants(text: str) -> dict[str, Grant]:
    """Return what the settings grant to each app role or group."""
    try:
        grants = TypeAdapter(dict[str, Grant]).validate_json(text or "{}")
        for grant in grants.values():
            grant.to_role()
    except (ValidationError, KeyError) as error:
        raise ForeactError(
            f'FOREACT_OIDC_ROLES is not of the form {{"NAME": {{"role": "planner", "stores": ["S1"]}}}}: {error}'
        ) from None
    return grants
