"""The read side: what is published now, what was, and objects whose bytes are checked."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from foreact.blobs.connecting import connect
from foreact.blobs.protocol import Blob, BlobNotFound, BlobStore, BlobUnavailable
from foreact.blobs.records import NewerRecord
from foreact.blobs.swap import read_if_present
from foreact.errors import ForeactError
from foreact.parquet import decode_parquet
from foreact.publications.contract import (
    CURRENT,
    MANIFESTS,
    Manifest,
    PublishedObject,
    StoreEntry,
    StoreGroup,
    manifest_name,
)
from foreact.publications.groups import ENTRIES, Group, GroupedStores, GroupFiles, find_group
from foreact.publications.sealing import BrokenPublication, unseal_part
from foreact.settings import PlaceSettings

log = logging.getLogger(__name__)
# Why a store shows what an earlier version says of it.
HELD = "what was published last is damaged, so the last good numbers stay; update the forecast"


@dataclass(frozen=True)
class Publication:
    """A manifest that was current, and the tag it was read under."""

    manifest: Manifest
    etag: str
    # Why this may no longer be the current one, in a sentence; empty while all is well.
    problem: str = ""


class Reader:
    """The publications in a blob store."""

    def __init__(self, store: BlobStore, *, mends: bool = True) -> None:
        """Read from a store; unless it mends, damage of some of a manifest's stores raises BrokenPublication."""
        self.store = store
        self.groups = GroupFiles(store, ENTRIES)
        self._mends = mends
        # The manifest grows with the chain, and is read again only where it has changed.
        self._known: Publication | None = None

    @classmethod
    def connect(cls, settings: PlaceSettings) -> "Reader":
        """Return the reader of a place, the same one in all of a process."""
        return _connect_once(settings.workspace, settings.blob_url, settings.blob_connection_string.get_secret_value())

    def find_current(self, last: Publication | None = None) -> Publication | None:
        """Return the current publication, or the last good one and what is wrong with the current; None: none yet.

        While nothing changes this costs one small request. Where the current one cannot be read, the answer of an
        earlier call is the last good one.
        """
        known = last or self._known
        try:
            blob = self.store.read_if_changed(CURRENT, known.etag) if known else self.store.read(CURRENT)
            if blob is None:
                return replace(known, problem="") if known else None
            self._known = Publication(self.unseal_manifest(blob.data, CURRENT), blob.etag)
            return self._known
        except BlobNotFound:
            if last is None and not self.list_versions():
                return None
            return self._fall_back(last, ForeactError(self.explain_loss()))
        except BlobUnavailable as error:
            if last is None:
                raise
            return replace(last, problem=str(error))
        except ForeactError as error:
            return self._fall_back(last, error)

    def unseal_manifest(self, data: bytes, name: str) -> Manifest:
        """Read a manifest; raise BrokenPublication if it is damaged, NewerRecord if it is too new."""
        manifest = unseal_part(Manifest, data, name)
        if not manifest.groups:
            return manifest
        read = partial(self._read_or_mend, manifest) if self._mends else self.groups.read_group
        return manifest.model_copy(update={"stores": GroupedStores(manifest.groups, read)})

    def _read_or_mend(self, manifest: Manifest, group: StoreGroup) -> Group[StoreEntry]:
        """Return a group's stores; of one that is damaged, what the version before it said of them, marked as held."""
        try:
            return self.groups.read_group(group)
        except BrokenPublication as error:
            log.error("%s", error)
        number, count = manifest.groups.index(group), len(manifest.groups)
        strict = Reader(self.store, mends=False)
        for version in reversed([each for each in self.list_versions() if each < manifest.version]):
            try:
                found = find_group(strict.read_version(version).stores, number, count)
            except BlobUnavailable:
                raise
            except ForeactError as problem:
                log.warning("%s", problem)
                continue
            return Group({store: entry.model_copy(update={"held": HELD}) for store, entry in found.items()})
        return Group()

    def read_current(self) -> Publication:
        """Return the current publication; raise if there is none."""
        publication = self.find_current()
        if publication is None:
            raise ForeactError(f"Nothing is published in {self.store}: run retrain-all first.")
        return publication

    def list_versions(self) -> list[int]:
        """Return the numbers of all versions in the archive, oldest first."""
        names = (info.name.removeprefix(MANIFESTS).removesuffix(".json") for info in self.store.list(MANIFESTS))
        return [int(name) for name in names if name.isdecimal()]

    def read_version(self, number: int) -> Manifest:
        """Return one version's manifest."""
        if self._known is not None and self._known.manifest.version == number:
            return self._known.manifest
        name = manifest_name(number)
        try:
            return self.unseal_manifest(self.store.read(name).data, name)
        except BlobNotFound:
            publication = self.find_current()
            if publication is not None and publication.manifest.version == number:
                return publication.manifest
            newest = publication.manifest.version if publication else 0
            if 0 < number < newest:
                raise ForeactError(f"The manifest of version {number}, {name}, is gone from {self.store}.") from None
            raise ForeactError(f"There is no version {number} in {self.store}: the newest is {newest}.") from None

    def read_history(self, *, retained: bool = False) -> Iterator[Manifest]:
        """Return the current manifest and those before it, newest first; a damaged one is skipped.

        With `retained` only those whose objects are all still there.
        """
        current = self.find_current()
        if current is None:
            return
        manifest = current.manifest
        yield manifest
        newest = manifest.version
        numbers = manifest.list_retained()[1:]
        if not retained:
            numbers = list(range(newest - 1, min(self.list_versions(), default=newest) - 1, -1))
        for number in numbers:
            try:
                # The one before is held until the next is read, so that groups of both are read once.
                _before, manifest = manifest, self.read_version(number)
            except ForeactError as error:
                log.warning("skipped version %d: %s", number, error)
            else:
                yield manifest

    def read_object(self, published: PublishedObject) -> bytes:
        """Read one object; raise if its bytes are not those published."""
        try:
            data = self.store.read(published.name).data
        except BlobNotFound:
            raise BrokenPublication(
                f"{published.name} is no longer in {self.store}: the version that names it is not retained; "
                "read the current one."
            ) from None
        if len(data) != published.size or hashlib.sha256(data).hexdigest() != published.sha256:
            raise BrokenPublication(f"{published.name} in {self.store} is damaged: its bytes are not those published.")
        return data

    def read_table(self, published: PublishedObject) -> Any:
        """Read one object as an Arrow table."""
        return decode_parquet(self.read_object(published))

    def read_newest_archived(self, *, skip_newer: bool = False) -> Manifest | None:
        """Return the newest manifest of the archive that is whole; raise NewerRecord if a later version wrote it.

        With `skip_newer`, for who only reads, the newest that this software can read.
        """
        for number in reversed(self.list_versions()):
            name = manifest_name(number)
            try:
                return self.unseal_manifest(self.store.read(name).data, name)
            except (BlobNotFound, BrokenPublication, NewerRecord) as error:
                if isinstance(error, NewerRecord) and not skip_newer:
                    raise
                log.warning("%s", error)
        return None

    def explain_loss(self) -> str:
        """Say that the current manifest is gone although versions were published."""
        return f"{CURRENT} is gone from {self.store}, though versions are archived there: publish again to replace it."

    def _fall_back(self, last: Publication | None, error: ForeactError) -> Publication:
        if last is not None:
            return replace(last, problem=f"{error} Version {last.manifest.version} is kept.")
        archived = self.read_newest_archived(skip_newer=True)
        if archived is None:
            raise error
        return Publication(archived, "", f"{error} Version {archived.version} is kept.")


@lru_cache
def _connect_once(workspace: Path, url: str, secret: str) -> Reader:
    return Reader(connect(PlaceSettings(workspace=workspace, blob_url=url, blob_connection_string=secret)))


def read_manifest(store: BlobStore, blob: Blob | None) -> Manifest | None:
    """Return the current manifest, or the newest archived one if its bytes are gone or broken."""
    reader = Reader(store)
    if blob is None:
        archived = reader.read_newest_archived()
        if archived is not None:
            log.warning("%s Going on from version %s.", reader.explain_loss(), archived.version)
        return archived
    try:
        return reader.unseal_manifest(blob.data, CURRENT)
    except BrokenPublication as error:
        # What was torn on its way is whole the next time; to go on from an older version would lose what is in it.
        again = read_if_present(store, CURRENT)
        if again is not None and again.data != blob.data:
            return read_manifest(store, again)
        archived = reader.read_newest_archived()
        log.warning("%s Going on from version %s.", error, archived.version if archived else 0)
        return archived
