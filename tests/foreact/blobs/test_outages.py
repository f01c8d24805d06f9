"""Stores that go away, come back, are full, read-only or refuse."""

import os
import resource
import socket
import subprocess
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.identity import CredentialUnavailableError
from azure.storage.blob import ContainerClient

from components.publish.step import Published, publish
from foreact.blobs import BlobUnavailable, FolderStore, azure, connect, open_url
from foreact.blobs.azure import CLIENT_OPTIONS, LONGEST_PAUSE_SECONDS, PATIENCE_SECONDS, AzureStore
from foreact.errors import ForeactError
from foreact.publications import Publisher, Reader, put_objects
from foreact.registry import RegisteredStore, Versions
from foreact.runs.events import Events
from foreact.settings import PipelineSettings, PlaceSettings
from tests.foreact.publications.stores import put
from tests.services import Process, serve_azurite
from tests.trainings import write_training
from tests.waiting import SECONDS, until

# More than clients of Azure make by themselves.
TRIES = 10


def write_versions(path: Path, run: str, stores: list[str]) -> Path:
    """Write the versions that a training was registered under."""
    placed = {
        name: RegisteredStore(name=f"foreact-{name}", run=run, version="1", registered="1", promoted=True)
        for name in stores
    }
    Versions(run=run, stores=placed).write(path)
    return path


@pytest.fixture(scope="module")
def own_azurite(tmp_path_factory):
    with serve_azurite(tmp_path_factory.mktemp("azurite")) as azurite:
        yield azurite


class Stopping:
    """Called for each store that is written; the tenth takes the server away."""

    def __init__(self, server: Process) -> None:
        self.server, self.done, self.stopped = server, 0, threading.Event()

    def __call__(self) -> None:
        self.done += 1
        if self.done == 10:
            self.server.stop()
            self.stopped.set()


@pytest.mark.azurite
def test_azurite_stopped_in_mid_publish_and_back_after_many_tries(own_azurite, tmp_path, monkeypatch, caplog):
    """The publish that was under way waits, goes on and completes; nothing is published by halves meanwhile."""
    # A machine that is slow to start the emulator again must not use it up.
    monkeypatch.setattr(azure, "PATIENCE_SECONDS", 10 * SECONDS)
    monkeypatch.setattr(azure, "LONGEST_PAUSE_SECONDS", 0.3)
    settings = PipelineSettings(workspace=tmp_path, **own_azurite.settings())
    stores = [f"s{number}" for number in range(60)]
    versions = write_versions(tmp_path / "versions.json", "seven", stores)
    stop = Stopping(own_azurite.process)

    def most_tries() -> int:
        """Return how often one operation, which keeps its thread busy, has gone without an answer."""
        vain = [record.thread for record in caplog.records if "trying again" in record.getMessage()]
        return max(Counter(vain).values(), default=0)

    def write_and_publish() -> Published:
        trained = tmp_path / "trained"
        write_training(trained, settings, "seven", {name: {"value": 7.0} for name in stores}, on_store=stop)
        return publish(trained=trained, versions=versions, settings=settings, events=Events())

    with ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(write_and_publish)
        until(lambda: most_tries() >= TRIES or publishing.done())
        assert stop.stopped.is_set()
        assert not publishing.done()
        own_azurite.process.start()
        assert publishing.result().outcome.manifest.version == 1
    manifest = Reader(connect(settings)).read_current().manifest
    assert len(manifest.stores) == 60
    for entry in manifest.stores.values():
        Reader(connect(settings)).read_object(entry.objects["forecasts"])


class Clock:
    """A clock that only sleepers move on; up to a moment, nothing answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, back_at: float) -> None:
        self.now, self.back_at, self.pauses = 0.0, back_at, list[float]()
        monkeypatch.setattr(azure, "time", self)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def download(self, *_: object, **__: object) -> SimpleNamespace:
        if self.now < self.back_at:
            raise ServiceRequestError("connection refused")
        return SimpleNamespace(readall=lambda: b"one", properties=SimpleNamespace(etag="tag"))


def read_by(clock: Clock) -> bytes:
    client = SimpleNamespace(url="https://acc.blob.core.windows.net/c", download_blob=clock.download)
    return AzureStore(cast(ContainerClient, client)).read("x").data


@pytest.mark.parametrize("seconds", [1, 20, 45])
def test_an_outage_is_waited_for(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    clock = Clock(monkeypatch, back_at=seconds)
    assert read_by(clock) == b"one"
    assert seconds <= clock.now < seconds + LONGEST_PAUSE_SECONDS
    assert max(clock.pauses) <= LONGEST_PAUSE_SECONDS


def test_patience_ends_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, back_at=float("inf"))
    with pytest.raises(BlobUnavailable, match=r"no answer within 60 s .*then run again\.$"):
        read_by(clock)
    assert PATIENCE_SECONDS - LONGEST_PAUSE_SECONDS <= clock.now <= PATIENCE_SECONDS


def test_a_name_that_is_not_resolved_is_told_as_such() -> None:
    def download(*_: object, **__: object) -> None:
        try:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        except OSError as error:
            raise ServiceRequestError("host 'secret.example'", error=error) from error

    client = SimpleNamespace(url="https://acc.blob.core.windows.net/c", download_blob=download)
    with pytest.raises(BlobUnavailable, match=r"\(its name is not resolved\); check that") as caught:
        AzureStore(cast(ContainerClient, client), patience=0).read("x")
    assert "secret" not in str(caught.value)


@pytest.mark.azurite
def test_azurite_stopped_for_good_is_one_sentence_and_changes_nothing(own_azurite, tmp_path):
    settings = PlaceSettings(**own_azurite.settings())
    store = connect(settings)
    assert isinstance(store, AzureStore)
    Publisher(store).publish({"1": put(store, "1", "r1", 1)}, by="x")
    before = {info.name: info.etag for info in store.list()}
    held = Reader(store).find_current()
    second = put(store, "1", "r2", 2)
    contents = {f"forecasts/data/r3/{number}.zip": b"3" for number in range(30)}
    impatient = AzureStore(store.client, patience=1.5, create=True)
    own_azurite.process.stop()
    try:
        for attempt in (
            lambda: Publisher(impatient).publish({"1": second}, by="x"),
            lambda: put_objects(impatient, contents),
            lambda: Reader(impatient).read_current(),
        ):
            with pytest.raises(BlobUnavailable, match=r"^Cannot .*no answer within 2 s .*then run again\.$") as caught:
                attempt()
            assert "\n" not in str(caught.value)
            assert own_azurite.key not in str(caught.value)
        # A reader keeps what it has and says why.
        publication = Reader(impatient).find_current(held)
        assert publication.manifest == held.manifest
        assert "no answer" in publication.problem
    finally:
        own_azurite.process.start()
    after = {info.name: info.etag for info in store.list()}
    assert after.pop(second.objects["forecasts"].name)
    assert after == before


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder on a disk of one megabyte, and a function to fill it and to make it read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        yield None
        return
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))


def test_a_full_disk_is_one_sentence_and_changes_nothing(small_disk, tmp_path):
    folder = small_disk or tmp_path / "limited"
    store = FolderStore(folder)
    first = Publisher(store).publish({"1": put(store, "1", "r1", 1)}, by="x").manifest
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    if small_disk:
        with pytest.raises(OSError, match="No space left"):
            fill(folder / "ballast")
    else:
        # Without the right to mount, a limit on the size of files has to do.
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(BlobUnavailable, match=r"^Cannot write .*(disk is full: free space|size limit).*\.$"):
            Publisher(store).publish({"1": put(store, "1", "r2", 2)}, by="x")
        assert Reader(store).read_current().manifest == first
        assert list((folder / ".scratch").iterdir()) == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        (folder / "ballast").unlink(missing_ok=True)
    assert Publisher(store).publish({"1": put(store, "1", "r2", 2)}, by="x").manifest.version == 2


def test_a_read_only_workspace_is_one_sentence(small_disk, tmp_path):
    folder = small_disk or tmp_path / "limited"
    store = FolderStore(folder)
    Publisher(store).publish({"1": put(store, "1", "r1", 1)}, by="x")
    if small_disk:
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    else:
        for path in [folder, *folder.rglob("*/")]:
            path.chmod(0o555)
    try:
        with pytest.raises(BlobUnavailable, match=r"(read-only|permission denied).*choose another workspace\.$"):
            store.write("x", b"x")
        assert Reader(store).read_current().manifest.version == 1
    finally:
        if not small_disk:
            for path in [folder, *folder.rglob("*/")]:
                path.chmod(0o755)


def test_a_dead_holder_s_lock_is_free(tmp_path):
    """A process killed inside the swap leaves neither a lock nor a half-written object."""
    store = FolderStore(tmp_path)
    store.write("x", b"one")
    child = os.fork()
    if child == 0:
        with store._hold_lock("x"):
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    done = threading.Thread(target=lambda: store.write("x", b"two"), daemon=True)
    done.start()
    done.join()
    assert store.read("x").data == b"two"


def test_what_writers_left_long_ago_is_swept_away(tmp_path):
    FolderStore(tmp_path).write("x", b"one")
    old, young = tmp_path / ".scratch" / "old", tmp_path / ".scratch" / "young"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (1, 1))
    FolderStore(tmp_path).write("y", b"two")
    assert not old.exists()
    assert young.exists()


SECRET = "cGxhbnRlZC1zZWNyZXQ="  # not a secret


@pytest.mark.parametrize(
    ("url", "connection", "match"),
    [
        ("https://a.blob.core.windows.net/c", f"AccountName=a;AccountKey={SECRET}", "emulator only"),
        (f"https://a.blob.core.windows.net/c?sig={SECRET}", "", "carries credentials"),
        (f"https://u:{SECRET}@a.blob.core.windows.net/c", "", "carries credentials"),
        ("https://evil.example/c", "", "is not the address"),
        ("https://a.blob.core.windows.net.evil.example/c", "", "is not the address"),
        ("https://a.blob.core.windows.net", "", "is not the address"),
        ("http://a.blob.core.windows.net/c", "", "is not the address"),
        ("ftp://x/y", "", "is not the address"),
        ("folder/x", "", "is not the address"),
        ("http://127.0.0.1:1/devstoreaccount1/c", "", "needs FOREACT_BLOB_CONNECTION_STRING"),
        (
            "http://127.0.0.1:1/devstoreaccount1/c",
            f"AccountName=real;AccountKey={SECRET};BlobEndpoint=http://127.0.0.1:1/devstoreaccount1",
            "is not that of the emulator",
        ),
        (
            "http://127.0.0.1:1/devstoreaccount1/c",
            f"AccountName=devstoreaccount1;AccountKey={SECRET};BlobEndpoint=https://a.blob.core.windows.net",
            "is not that of the emulator",
        ),
    ],
)
def test_addresses_that_are_refused(url, connection, match):
    settings = PlaceSettings(blob_url=url, blob_connection_string=connection)
    with pytest.raises(ForeactError, match=match) as caught:
        open_url(url, settings)
    assert SECRET not in str(caught.value)


def test_a_prefix_within_a_container():
    store, prefix = open_url("https://acc.blob.core.windows.net/sales/daily/2024/", PlaceSettings())
    assert prefix == "daily/2024"
    assert str(store) == "the container https://acc.blob.core.windows.net/sales"
    with pytest.raises(ForeactError, match="names the folder 'x' of a container"):
        connect(PlaceSettings(blob_url="https://acc.blob.core.windows.net/sales/x"))


@pytest.mark.azurite
def test_a_wrong_key_is_one_sentence_without_the_key(azurite):
    text = azurite.connection_string.replace(azurite.key, SECRET)
    store = connect(PlaceSettings(**azurite.settings(blob_connection_string=text)))
    with pytest.raises(
        BlobUnavailable, match=r"this identity is not allowed .*Storage Blob Data Contributor\.$"
    ) as caught:
        store.read("x")
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


class NoIdentity:
    """A credential as on a machine that nobody has signed in on."""

    def get_token(self, *scopes: str, **options: object) -> None:
        raise CredentialUnavailableError(f"tried everything, {SECRET} too\nand more lines")


def test_a_machine_without_an_identity_is_told_how_to_sign_in():
    client = ContainerClient("https://acc.blob.core.windows.net", "c", credential=NoIdentity(), **CLIENT_OPTIONS)
    with pytest.raises(
        BlobUnavailable, match=r"is not allowed .*az login, workload identity or AZURE_CLIENT_ID"
    ) as caught:
        AzureStore(client).read("x")
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
