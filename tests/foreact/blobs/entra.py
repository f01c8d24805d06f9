"""Entra ID's token endpoint on loopback, under its real name and TLS, behind a proxy that leads nowhere else."""

import json
import secrets
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

TENANT, CLIENT = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"
LOGIN = "login.microsoftonline.com"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
REFUSED = "AADSTS700213: No matching federated identity record found for presented assertion subject. Trace ID: 0"


@dataclass(frozen=True)
class Certificate:
    """A certificate that is its own authority, and its key."""

    certificate: Path
    key: Path


def make_certificate(folder: Path, *hosts: str, good_for: timedelta = timedelta(days=2)) -> Certificate:
    """Make a certificate of some hosts, which may have ended."""
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(8))])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + good_for)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    made.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made


@dataclass
class Entra:
    """An authority that exchanges the Kubernetes tokens of one application for tokens of Azure Storage."""

    # The Kubernetes tokens that it takes.
    trusted: set[str]
    # How many seconds its tokens are good for: by what it says of them, and by what the account reads in them.
    said_good_for: int = 600
    good_for: int = 3600
    # The Kubernetes tokens that it was shown.
    shown: list[str] = field(default_factory=list)

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        """Return status and body for a request for a token."""
        expected = {
            "client_id": CLIENT,
            "client_assertion_type": ASSERTION,
            "grant_type": "client_credentials",
            "scope": "https://storage.azure.com/.default",
        }
        if path != f"/{TENANT}/oauth2/v2.0/token" or not expected.items() <= form.items():
            return 400, {"error": "invalid_request", "error_description": f"AADSTS90014: {path} {sorted(form)}"}
        self.shown.append(form["client_assertion"])
        if form["client_assertion"] not in self.trusted:
            return 401, {"error": "invalid_client", "error_description": REFUSED, "error_codes": [700213]}
        now = int(datetime.now(UTC).timestamp())
        claims = {
            "aud": "https://storage.azure.com",
            "iss": f"https://sts.windows.net/{TENANT}/",
            "iat": now,
            "nbf": now - 60,
            "exp": now + self.good_for,
        }
        token = jwt.encode(claims, secrets.token_hex(32), algorithm="HS256")
        return 200, {"token_type": "Bearer", "expires_in": self.said_good_for, "access_token": token}


@contextmanager
def serve_entra(entra: Entra, certificate: Certificate) -> Iterator[int]:
    """Serve an authority by TLS on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, answer = entra.answer(self.path, {name: values[0] for name, values in parse_qs(body).items()})
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate, certificate.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with _running(server) as port:
        yield port


@contextmanager
def serve_proxy(places: dict[str, int]) -> Iterator[str]:
    """Serve a proxy that leads each known host to a local port, and refuses every other host."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_CONNECT(self) -> None:
            port = places.get(self.path.removesuffix(":443"))
            if port is None:
                self.send_error(403)
                return
            with socket.create_connection(("127.0.0.1", port)) as other:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=_copy, args=(other, self.connection), daemon=True)
                back.start()
                _copy(self.connection, other)
                back.join()
            self.close_connection = True

    with _running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}"


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy what one side sends to the other, until it has no more to say."""
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


@contextmanager
def _running(server: ThreadingHTTPServer) -> Iterator[int]:
    server.daemon_threads = True
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
