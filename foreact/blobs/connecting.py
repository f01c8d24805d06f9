"""The blob store that settings or an address name."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from foreact.blobs.folder import FolderStore
from foreact.blobs.names import check_name
from foreact.blobs.protocol import BlobStore
from foreact.errors import ForeactError
from foreact.settings import PlaceSettings

# The emulator's one account, the same on every machine.
EMULATOR_ACCOUNT = "devstoreaccount1"
# The only hosts that our tokens are sent to: the public cloud and the sovereign ones.
CLOUDS = (".blob.core.windows.net", ".blob.core.usgovcloudapi.net", ".blob.core.chinacloudapi.cn")
FOLDER = "blobs"
HINT = "use https://ACCOUNT.blob.core.windows.net/CONTAINER"


@dataclass(frozen=True)
class BlobPlace:
    """Where the store of publications is, and nothing secret: another process connects to it by its own identity."""

    workspace: Path
    url: str = ""

    @classmethod
    def read(cls, settings: PlaceSettings) -> "BlobPlace":
        """Return the place that settings name."""
        return cls(settings.workspace.absolute(), settings.blob_url)

    def connect(self) -> BlobStore:
        """Connect, once in a process."""
        return _connect_once(self)


@lru_cache
def _connect_once(place: BlobPlace) -> BlobStore:
    return connect(PlaceSettings(workspace=place.workspace, blob_url=place.url))


def connect(settings: PlaceSettings, *, url: str = "", patience: float | None = None) -> BlobStore:
    """Return the store of publications: the container that the settings name, or a folder of the workspace.

    With `url` another container, if the settings name one for something apart. With `patience`, an operation gives up
    after that many seconds, because somebody may be waiting.
    """
    address = url or settings.blob_url
    if not address:
        return FolderStore(settings.workspace.absolute() / FOLDER)
    store, prefix = open_url(address, settings, patience=patience)
    if prefix:
        raise ForeactError(f"{address} names the folder {prefix!r} of a container: {HINT}.")
    return store


def open_url(url: str, settings: PlaceSettings, *, patience: float | None = None) -> tuple[BlobStore, str]:
    """Return the container behind an address, and the prefix within it."""
    refuse_credentials(url)
    parts = urlsplit(url)
    path = unquote(parts.path).strip("/").split("/")
    if parts.scheme == "https" and (parts.hostname or "").endswith(CLOUDS) and path[0]:
        if settings.blob_connection_string.get_secret_value():
            raise ForeactError(
                f"FOREACT_BLOB_CONNECTION_STRING is for the Azurite emulator only: unset it to use {parts.hostname}."
            )
        store = _connect_by_identity(f"https://{parts.netloc}", path[0], patience)
        return store, _read_prefix(path[1:])
    if parts.scheme == "http" and path[0] == EMULATOR_ACCOUNT and len(path) > 1 and path[1]:
        endpoint = f"{parts.scheme}://{parts.netloc}/{path[0]}"
        return _connect_emulator(url, endpoint, path[1], settings, patience), _read_prefix(path[2:])
    raise ForeactError(f"{url!r} is not the address of a container: {HINT}.")


def refuse_credentials(url: str) -> None:
    """Raise if an address carries credentials: it would be in the record of every run that gets it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ForeactError(f"An address cannot be parsed: {HINT}.") from None
    if parts.username or parts.password or parts.query:
        # Not repeated in full, because it may hold a key or a shared access signature.
        raise ForeactError(f"The address at {parts.hostname} carries credentials: identities are used instead; {HINT}.")


def refuse_credentials_among(parameters: Mapping[str, Any]) -> None:
    """Raise if one of a pipeline's parameters is, or holds, an address that carries credentials."""
    for value in parameters.values():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and "://" in text:
                refuse_credentials(text)


def _read_prefix(parts: list[str]) -> str:
    prefix = "/".join(part for part in parts if part)
    return check_name(prefix) if prefix else ""


def _connect_by_identity(account: str, container: str, patience: float | None) -> BlobStore:
    from azure.identity import DefaultAzureCredential
    from azure.storage.blob import ContainerClient

    from foreact.blobs.azure import CLIENT_OPTIONS, PATIENCE_SECONDS, AzureStore

    client = ContainerClient(account, container, credential=DefaultAzureCredential(), **CLIENT_OPTIONS)
    return AzureStore(client, patience=PATIENCE_SECONDS if patience is None else patience)


def _connect_emulator(
    url: str, endpoint: str, container: str, settings: PlaceSettings, patience: float | None
) -> BlobStore:
    from azure.storage.blob import ContainerClient

    from foreact.blobs.azure import CLIENT_OPTIONS, PATIENCE_SECONDS, AzureStore

    text = settings.blob_connection_string.get_secret_value()
    if not text:
        raise ForeactError(f"The emulator at {url} needs FOREACT_BLOB_CONNECTION_STRING.")
    fields = dict(field.partition("=")[::2] for field in text.split(";") if field)
    if fields.get("AccountName") != EMULATOR_ACCOUNT or fields.get("BlobEndpoint", "").rstrip("/") != endpoint:
        raise ForeactError(
            f"FOREACT_BLOB_CONNECTION_STRING is not that of the emulator at {url}: "
            f"its AccountName must be {EMULATOR_ACCOUNT} and its BlobEndpoint {endpoint}."
        )
    client = ContainerClient.from_connection_string(text, container, **CLIENT_OPTIONS)
    return AzureStore(client, patience=PATIENCE_SECONDS if patience is None else patience, create=True)
