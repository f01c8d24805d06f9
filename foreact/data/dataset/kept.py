"""Which datasets are kept: a list replaced by compare-and-swap; what no dataset on it names is deleted.

dataset/manifest.json   the list

A dataset that was made of the same files in the same way is found by its key, and nothing is read again.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from foreact.blobs.ageing import delete_all
from foreact.blobs.connecting import BlobPlace
from foreact.blobs.protocol import Blob, BlobStore
from foreact.blobs.records import EACH_ALONE, StoredRecord, parse_or_skip, parse_record
from foreact.blobs.swap import read_if_present, swap_object
from foreact.data.dataset.parts import FOLDER, TALLIES, THREADS, name_tally, read_object
from foreact.data.dataset.stored import REJECTED, Dataset, DatasetInfo, name_parts
from foreact.errors import ForeactError

log = logging.getLogger(__name__)

MANIFEST = f"{FOLDER}manifest.json"
# No run takes so long from its first step to its last; counted in whole days, by the names of folders.
GRACE = timedelta(days=2)


class KeptDataset(BaseModel):
    """One dataset: its record, what it was made of, and when a run last began with it."""

    model_config = ConfigDict(frozen=True)

    record: str
    # Tells the files that it was made of, and how.
    key: str
    # Tells how alone, whatever the files and the day.
    way: str = ""
    # The one store that it has; empty: all.
    store: str = ""
    used_at: datetime


class KeptDatasets(StoredRecord):
    """The datasets that are kept, the one used last at the end."""

    kind: ClassVar[str] = "list of datasets"

    datasets: list[Annotated[KeptDataset, EACH_ALONE]] = Field(default_factory=list)


def find_dataset(place: BlobPlace, key: str, store: str = "") -> Dataset | None:
    """Return the dataset with this key, which then stays for another while.

    None: it is not all there, or if only one store is needed, that store is not.
    """
    return _find(place, lambda each: each.key == key, store)


def find_earlier(place: BlobPlace, way: str) -> Dataset | None:
    """Return the last dataset of the whole chain that was taken in this way; None: there is none."""
    return _find(place, lambda each: each.way == way and not each.store)


def _find(place: BlobPlace, fits: Callable[[KeptDataset], bool], store: str = "") -> Dataset | None:
    blobs = place.connect()
    kept = _parse(read_if_present(blobs, MANIFEST))
    found = next((each for each in reversed(kept.datasets) if fits(each)), None)
    if found is None:
        return None
    # From now on nobody deletes what it needs.
    keep_dataset(blobs, found.model_copy(update={"used_at": datetime.now(UTC)}))
    try:
        dataset = Dataset.open(found.record, place)
        return dataset if _is_there(blobs, dataset.info, store) else None
    except ForeactError as problem:
        log.warning("the dataset is made anew: %s", problem)
        return None


def _is_there(blobs: BlobStore, info: DatasetInfo, store: str) -> bool:
    """Return whether all parts are there, or those of one store, which are looked up and not listed among all."""
    if not store:
        return {*info.parts.values()} <= {each.name for each in blobs.list(FOLDER)}
    parts = [info.parts[name] for name in {*name_parts(info, store), REJECTED} if name in info.parts]
    with ThreadPoolExecutor(THREADS) as pool:
        return all(pool.map(lambda part: any(each.name == part for each in blobs.list(part)), parts))


def keep_dataset(blobs: BlobStore, dataset: KeptDataset) -> None:
    """Put a dataset on the list, in place of one with its key; those of which no run can need anything leave it.

    The last one of the whole chain stays.
    """

    def add(blob: Blob | None) -> bytes:
        others = [each for each in _parse(blob).datasets if each.key != dataset.key]
        datasets = [*others, dataset]
        whole = [each.record for each in datasets if not each.store][-1:]
        since = dataset.used_at - GRACE
        datasets = [each for each in datasets if each.used_at >= since or each.record in whole]
        return KeptDatasets(datasets=datasets).model_dump_json(indent=1).encode()

    swap_object(blobs, MANIFEST, add)


def prune_datasets(blobs: BlobStore) -> list[str]:
    """Delete what no dataset on the list needs and no run can be about to name; return the names.

    Nothing is deleted while one of them cannot be read; it leaves the list when its time is over.
    """
    blob = read_if_present(blobs, MANIFEST)
    if blob is None:
        return []
    try:
        kept = parse_record(KeptDatasets, blob.data, MANIFEST).datasets
        infos = {each.record: _read_info(blobs, each) for each in kept}
    except ForeactError as problem:
        log.warning("no dataset is deleted: %s", problem)
        return []
    days = {folder: day for folder in blobs.list_folders(FOLDER) if (day := _read_day(folder))}
    needed = {*infos, *(part for info in infos.values() for part in info.parts.values())}
    tallies = {name_tally(store) for info in infos.values() for store in info.stores}
    # A clock that jumped ahead must not make objects old.
    today = min([datetime.now(UTC).date(), *([max(days.values())] if days else [])])
    old = [folder for folder, day in days.items() if day < today - GRACE]
    names = [info.name for folder in old for info in blobs.list(folder)]
    gone = [info.name for info in blobs.list(TALLIES) if info.name not in tallies]
    return delete_all(blobs, [*(name for name in names if name not in needed), *gone])


def _read_info(blobs: BlobStore, dataset: KeptDataset) -> DatasetInfo:
    return parse_record(DatasetInfo, read_object(blobs, dataset.record), dataset.record)


def _parse(blob: Blob | None) -> KeptDatasets:
    return (parse_or_skip(KeptDatasets, blob.data, MANIFEST) if blob else None) or KeptDatasets()


def _read_day(folder: str) -> date | None:
    try:
        return date.fromisoformat(folder.removeprefix(FOLDER).rstrip("/"))
    except ValueError:
        return None
