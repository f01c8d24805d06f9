"""Workload identity: a Kubernetes token is exchanged for Azure's, and that opens the container."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from foreact.blobs import BlobStore, BlobUnavailable, connect
from foreact.blobs.azure import AzureStore
from foreact.settings import PlaceSettings
from tests.foreact.blobs.entra import (
    CLIENT,
    LOGIN,
    TENANT,
    Certificate,
    Entra,
    make_certificate,
    serve_entra,
    serve_proxy,
)
from tests.services import ACCOUNT, serve_azurite

pytestmark = pytest.mark.azurite
BLOB = f"{ACCOUNT}.blob.core.windows.net"


@dataclass
class Place:
    """A pod's surroundings: the authority, the file of its own token, and a container that takes only Azure's."""

    entra: Entra
    token_file: Path
    container: str

    def connect(self) -> BlobStore:
        """Open the container as a process that has just started."""
        return connect(PlaceSettings(blob_url=f"https://{BLOB}/{self.container}"), patience=5)


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Entra, Path, str]]:
    """Return the authority, the certificate to trust, and the proxy that leads to it and to the account."""
    folder = tmp_path_factory.mktemp("azure")
    certificate, entra = make_certificate(folder, LOGIN, BLOB), Entra(set())
    tls = ["--oauth", "basic", "--cert", str(certificate.certificate), "--key", str(certificate.key)]
    with ExitStack() as stack:
        azurite = stack.enter_context(serve_azurite(folder, *tls))
        port = stack.enter_context(serve_entra(entra, certificate))
        proxy = stack.enter_context(serve_proxy({LOGIN: port, BLOB: azurite.process.port}))
        yield entra, certificate.certificate, proxy


@pytest.fixture
def place(addresses: tuple[Entra, Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return what the webhook of workload identity and the cluster give a pod."""
    entra, certificate, proxy = addresses
    entra.trusted, entra.shown, entra.good_for = {"first"}, [], 3600
    token_file = tmp_path / "azure-identity-token"
    token_file.write_text("first")
    for name in os.environ:
        if name.startswith("AZURE_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    environment = {
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_AUTHORITY_HOST": f"https://{LOGIN}/",
        "AZURE_FEDERATED_TOKEN_FILE": str(token_file),
        "REQUESTS_CA_BUNDLE": str(certificate),
        "HTTPS_PROXY": proxy,
        "HTTP_PROXY": proxy,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Place(entra, token_file, f"c{uuid4().hex[:8]}")


@pytest.fixture
def store(place: Place) -> BlobStore:
    """Return the container, opened by the first token."""
    store = place.connect()
    assert isinstance(store, AzureStore)
    store.client.create_container()
    return store


def test_one_exchange_opens_the_container(place: Place, store: BlobStore) -> None:
    store.write("a", b"1")
    assert store.read("a").data == b"1"
    assert place.entra.shown == ["first"]
    assert place.connect().read("a").data == b"1"
    assert place.entra.shown == ["first"] * 2, "each process asks for itself"


def test_a_token_that_ends_in_mid_run_is_renewed_by_the_file_as_it_is_now(
    place: Place, store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("a", b"1")
    # The kubelet replaces the file, and what it held before ends.
    place.token_file.write_text("second")
    place.entra.trusted = {"second"}
    assert store.read("a").data == b"1", "Azure's own token is still good"
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 601)
    assert store.read("a").data == b"1"
    assert place.entra.shown == ["first", "second"]


def test_a_token_that_cannot_be_renewed_ends_the_work_in_a_sentence(
    place: Place, store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("a", b"1")
    place.entra.trusted = set()
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 601)
    with pytest.raises(BlobUnavailable, match="AADSTS700213"):
        store.read("a")


def test_a_refused_identity_is_told_in_one_sentence(place: Place) -> None:
    place.entra.trusted = set()
    with pytest.raises(BlobUnavailable) as refused:
        place.connect().read("a")
    assert str(refused.value) == (
        f"Cannot read a in the container https://{BLOB}/{place.container}: Entra ID gives this identity no token "
        "(AADSTS700213); check AZURE_CLIENT_ID, AZURE_TENANT_ID and the federated credential of the service account."
    )


def test_the_account_takes_no_token_that_has_ended(place: Place, store: BlobStore) -> None:
    """What the authority says of it counts for nothing there."""
    place.entra.good_for = -60
    with pytest.raises(BlobUnavailable, match=r"this identity is not allowed \(\w+\); sign in"):
        place.connect().write("a", b"1")
    assert place.entra.shown == ["first"] * 2


def test_a_certificate_that_has_ended_is_named(
    place: Place, addresses: tuple[Entra, Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = Certificate(addresses[1], addresses[1].with_name("key.pem"))
    over = make_certificate(tmp_path, BLOB, good_for=timedelta(hours=-1))
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(good.certificate.read_bytes() + over.certificate.read_bytes())
    tls = ["--oauth", "basic", "--cert", str(over.certificate), "--key", str(over.key)]
    with (
        serve_azurite(tmp_path, *tls) as azurite,
        serve_entra(place.entra, good) as login,
        serve_proxy({LOGIN: login, BLOB: azurite.process.port}) as proxy,
    ):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authorities))
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        with pytest.raises(BlobUnavailable, match=r"\(its certificate is refused: certificate has expired\); check"):
            place.connect().read("a")
