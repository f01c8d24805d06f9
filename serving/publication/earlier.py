"""Earlier forecasts of a store, for as long as their publications stay in the blob store.

Reading one of them takes a moment, so they are read when they are first asked for, and kept as long as the store's
arrays are. Which objects they are is in the manifests before the current one, each of which is read once, and of one of
many stores the groups of those that are asked for.
"""

import threading
from collections.abc import Iterator, Mapping
from datetime import date
from typing import ClassVar

from pydantic import BaseModel, Field, TypeAdapter

from foreact.blobs import BlobUnavailable
from foreact.blobs.records import StoredRecord
from foreact.errors import ForeactError
from foreact.outlines.tables import WideTable, read_table, widen_table
from foreact.publications.contract import SCHEMA_VERSION, PublishedObject, StoreGroup, manifest_name
from foreact.publications.groups import GroupedStores, GroupFiles
from foreact.publications.reader import Reader
from foreact.publications.sealing import BrokenPublication, unseal_part
from foreact.vocabulary import DATE, ITEM, MEAN, P10, P90, STORE
from serving.publication.arrays import StoreData

# How many versions back earlier forecasts are looked for, and how many of them are read.
MOST_VERSIONS = 12
MOST_FORECASTS = 4

EarlierForecast = tuple[str, WideTable]


class _Objects(BaseModel):
    forecasts: PublishedObject


class _Entry(BaseModel):
    as_of: date
    objects: _Objects


class _Forecasts(StoredRecord):
    """What earlier forecasts need of a manifest."""

    kind: ClassVar[str] = "publication"

    schema_version: int = SCHEMA_VERSION
    stores: dict[str, _Entry] = Field(default_factory=dict)
    groups: tuple[StoreGroup, ...] = ()


class EarlierVersions:
    """The forecasts that the versions before the current one name."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._groups = GroupFiles(reader.store, TypeAdapter(dict[str, _Entry]))
        self._versions: dict[int, Mapping[str, _Entry]] = {}

    def read_manifests(self, current: int) -> None:
        """Read what is not known yet of the versions before the current one."""
        with self._lock:
            numbers = range(max(1, current - MOST_VERSIONS + 1), current)
            known = {number: self._versions[number] for number in numbers if number in self._versions}
            # Most stores are the same in most versions, and are held once.
            inline = [stores for stores in known.values() if isinstance(stores, dict)]
            same = {each.objects.forecasts.sha256: each for stores in inline for each in stores.values()}
            for number in numbers:
                if number not in known:
                    known[number] = self._read_manifest(number, same)
            self._versions = known

    def list_forecasts(self, arrays: StoreData, current: int) -> Iterator[_Entry]:
        """Return the latest forecast of each older day of data, the latest first."""
        self.read_manifests(current)
        seen = {arrays.entry.as_of}
        for _, stores in sorted(self._versions.items(), reverse=True):
            entry = _find_entry(stores, arrays.store)
            if entry is not None and entry.as_of not in seen and entry.as_of <= arrays.entry.as_of:
                seen.add(entry.as_of)
                yield entry

    def load_forecasts(self, arrays: StoreData, current: int) -> list[EarlierForecast]:
        """Return the store's latest earlier forecasts that were made of older data, the latest first."""
        derived = arrays.detail.derived
        found: list[EarlierForecast] | None = derived.get("earlier_forecasts")
        if found is None:
            found = derived["earlier_forecasts"] = self._read_forecasts(arrays, current)
        return found

    def _read_forecasts(self, arrays: StoreData, current: int) -> list[EarlierForecast]:
        found: list[EarlierForecast] = []
        columns = (STORE, ITEM, DATE, MEAN, P10, P90)
        for entry in self.list_forecasts(arrays, current):
            published = entry.objects.forecasts
            try:
                table = read_table(self._reader.read_object(published), published.name, arrays.store, columns)
                found.append((str(entry.as_of), widen_table(table, published.name, (MEAN, P10, P90), ITEM)))
            except BlobUnavailable:
                raise
            except ForeactError:
                # Deleted since, or damaged: go on with the version before.
                continue
            if len(found) == MOST_FORECASTS:
                break
        return found

    def _read_manifest(self, number: int, same: dict[str, _Entry]) -> Mapping[str, _Entry]:
        """Return the forecasts that a version names; none if it is gone, or damaged."""
        name = manifest_name(number)
        try:
            found = unseal_part(_Forecasts, self._reader.store.read(name).data, name)
        except BlobUnavailable:
            raise
        except ForeactError:
            return {}
        if found.groups:
            return GroupedStores(found.groups, self._groups.read_group)
        return {store: same.setdefault(each.objects.forecasts.sha256, each) for store, each in found.stores.items()}


def _find_entry(stores: Mapping[str, _Entry], store: str) -> _Entry | None:
    try:
        return stores.get(store)
    except BrokenPublication:
        return None
