"""A container of Azure Blob as a blob store."""

import hashlib
import io
import logging
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeVar, cast

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobPrefix, ContainerClient

from foreact.blobs.azure_errors import error_code, error_reason, explain_refusal, is_transient
from foreact.blobs.names import check_name
from foreact.blobs.protocol import Blob, BlobInfo

log = logging.getLogger(__name__)
Result = TypeVar("Result")

NOT_MODIFIED = 304
DELETED = (202, 404)
# The service's limit for one request.
LARGEST_BATCH = 256

# How long one operation is retried while the service does not answer, or answers with an error of its own.
PATIENCE_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 8.0
# Options of every client. Retries are made here, limited by time; the client would limit them by number.
CLIENT_OPTIONS: dict[str, Any] = {
    "retry_total": 0,
    "connection_timeout": 5,
    "read_timeout": 30,
    "max_single_put_size": 16 << 20,
    "max_block_size": 8 << 20,
}


class AzureStore:
    """Objects as block blobs of one container."""

    def __init__(self, client: ContainerClient, *, patience: float = PATIENCE_SECONDS, create: bool = False) -> None:
        self.client = client
        self.patience = patience
        # An emulator begins empty; elsewhere the container was made together with the account.
        self.create = create

    def __str__(self) -> str:
        return f"the container {self.client.url.partition('?')[0]}"

    def read(self, name: str) -> Blob:
        """Read one object, or raise BlobNotFound."""
        return self._call_patiently("read", name, lambda: self._download_blob(name))

    def read_if_changed(self, name: str, etag: str) -> Blob | None:
        """Read one object unless it still has that tag."""

        def download_if_changed() -> Blob | None:
            try:
                return self._download_blob(name, etag=etag, match_condition=MatchConditions.IfModified)
            except HttpResponseError as error:
                if error.status_code == NOT_MODIFIED:
                    return None
                raise

        return self._call_patiently("read", name, download_if_changed)

    def open(self, name: str) -> BinaryIO:
        """Open one object for streaming, from a temporary file, so that it can be read in any order."""

        def download_to_file() -> IO[bytes]:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - handed on open
            try:
                self.client.download_blob(check_name(name), max_concurrency=4).readinto(file)
            except BaseException:
                file.close()
                raise
            file.seek(0)
            return file

        return cast(BinaryIO, self._call_patiently("read", name, download_to_file))

    def write(self, name: str, data: bytes | Path, *, if_match: str | None = None, if_absent: bool = False) -> str:
        """Write one object whole and return its new tag."""
        options: dict[str, Any] = {"overwrite": not if_absent}
        if if_match is not None:
            options |= {"etag": if_match, "match_condition": MatchConditions.IfNotModified}
        blob = self.client.get_blob_client(check_name(name))
        tries = 0

        def upload() -> str:
            nonlocal tries
            tries += 1
            try:
                with closing(data.open("rb") if isinstance(data, Path) else io.BytesIO(data)) as file:
                    return str(blob.upload_blob(file, **options)["etag"])
            except (ResourceExistsError, ResourceModifiedError):
                # The answer to an earlier try may have been lost: then the object holds what was sent.
                written = self._find_written_tag(name, data) if tries > 1 else None
                if written is None:
                    raise
                return written
            except ResourceNotFoundError as error:
                if if_match is not None and error_code(error) == "BlobNotFound":
                    raise ResourceModifiedError(str(error)) from None
                raise

        return self._call_patiently("write", name, upload)

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        """Return the objects whose names begin with the prefix, by name."""
        token: str | None = ""
        while token is not None:
            page, token = self._call_patiently("list", prefix, partial(self._list_page, prefix, token))
            yield from page

    def list_folders(self, prefix: str) -> Iterator[str]:
        """Return the folders directly within one, each with its closing slash; the prefix has one too."""

        def walk_folders() -> list[str]:
            found = self.client.walk_blobs(name_starts_with=prefix, delimiter="/")
            return [each.name for each in found if isinstance(each, BlobPrefix)]

        yield from self._call_patiently("list", prefix, walk_folders)

    def delete(self, *names: str) -> None:
        """Delete objects, many in one request; one that does not exist is not an error."""
        for first in range(0, len(names), LARGEST_BATCH):
            batch = names[first : first + LARGEST_BATCH]
            if len(batch) == 1 or not self._call_patiently("delete", batch[0], partial(self._delete_batch, batch)):
                # One by one, for the sentence of what is refused.
                for name in batch:
                    self._call_patiently("delete", name, partial(self._delete_blob, name))

    def _delete_batch(self, names: Sequence[str]) -> bool:
        """Delete objects in one request, and return whether none of them is left."""
        answers = self.client.delete_blobs(*map(check_name, names), raise_on_any_failure=False)
        return all(answer.status_code in DELETED for answer in answers)

    def _delete_blob(self, name: str) -> None:
        try:
            self.client.delete_blob(check_name(name))
        except ResourceNotFoundError:
            return

    def _download_blob(self, name: str, **conditions: Any) -> Blob:
        download = self.client.download_blob(check_name(name), **conditions)
        data = cast(bytes, download.readall())
        return Blob(data, str(download.properties.etag))

    def _list_page(self, prefix: str, token: str) -> tuple[Sequence[BlobInfo], str | None]:
        pages = self.client.list_blobs(name_starts_with=prefix or None).by_page(token or None)
        page = next(pages, None)
        blobs = [BlobInfo(b.name, b.size, _quote_tag(b.etag), b.last_modified) for b in page or []]
        return blobs, cast(Any, pages).continuation_token or None

    def _find_written_tag(self, name: str, data: bytes | Path) -> str | None:
        blob = self._download_blob(name)
        if isinstance(data, Path):
            with data.open("rb") as file:
                same = hashlib.file_digest(file, "sha256").digest() == hashlib.sha256(blob.data).digest()
        else:
            same = blob.data == data
        return blob.etag if same else None

    def _create_container(self) -> None:
        try:
            self.client.create_container()
        except ResourceExistsError:
            log.debug("another process has created %s meanwhile", self)

    def _call_patiently(self, verb: str, name: str, attempt: Callable[[], Result]) -> Result:
        """Call until it succeeds, is refused, or time is up; raise a refusal as one sentence."""
        deadline = time.monotonic() + self.patience
        pause = 0.2
        while True:
            try:
                return attempt()
            except AzureError as error:
                if self.create and error_code(error) == "ContainerNotFound":
                    self._create_container()
                    continue
                # Random, so that clients that failed together do not come back together.
                pause = min(LONGEST_PAUSE_SECONDS, random.uniform(pause, 3 * pause))  # noqa: S311
                if not is_transient(error) or time.monotonic() + pause > deadline:
                    raise explain_refusal(verb, name, str(self), self.patience, error) from None
                log.warning("%s did not answer (%s); trying again in %.1f s", self, error_reason(error), pause)
            time.sleep(pause)


def _quote_tag(etag: str) -> str:
    """Return the tag as reads and writes do; listings leave the quotes out."""
    return etag if etag.startswith('"') else f'"{etag}"'
