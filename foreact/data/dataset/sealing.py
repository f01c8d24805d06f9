"""From files to a dataset in object storage, with one hash a store over everything that its model can see."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from foreact.blobs.connecting import BlobPlace
from foreact.data.dataset.parts import read_checksum, write_files
from foreact.data.dataset.stored import (
    REJECTED,
    Dataset,
    DatasetInfo,
    name_borrowed,
    name_items,
    name_known,
    name_parts,
    name_rows,
    unknown_store,
)
from foreact.data.reading.history import BLANKED
from foreact.spacing import Spacing
from foreact.vocabulary import STORE


def store_files(info: DatasetInfo, folder: Path, place: BlobPlace, stores: Iterable[str] | None = None) -> Dataset:
    """Write a folder's files as parts, in place of those of their names, and hash these stores, or all."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.parquet"))}
    parts = dict(sorted({**info.parts, **write_files(place.connect(), files)}.items()))
    info = info.model_copy(update={"parts": parts})
    return Dataset(hash_stores(info, info.stores if stores is None else stores), place)


def take_store(whole: Dataset, store: str, folder: Path) -> Dataset | None:
    """Return the dataset of one of the stores, as if it had been taken in alone but for what all stores decide.

    None where the parts do not tell how many rows were read: rows are left out, or summed.
    """
    info = whole.info
    if store not in info.stores:
        raise unknown_store(store, whole.stores)
    if info.rows_after_as_of or info.spacing is not Spacing.DAILY:
        return None
    rejected = whole.read_rejected()
    rejected = rejected.filter(pc.equal(rejected[STORE], store))
    pa.parquet.write_table(rejected, folder / REJECTED)
    counts = Counter(rejected["rule"].to_pylist())
    lost = sum(count for rule, count in counts.items() if rule not in BLANKED.values())
    names = name_parts(info, store)
    alone = info.model_copy(
        update={
            "stores": {store: info.stores[store]},
            "parts": {name: part for name, part in info.parts.items() if name in names},
            "rows_read": info.stores[store].rows + lost,
            "rejected": dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))),
        }
    )
    return store_files(alone, folder, whole.place)


def hash_stores(info: DatasetInfo, stores: Iterable[str]) -> DatasetInfo:
    """Return the record with the hashes of these stores, by its parts as they are now."""
    columns = [(column.name, column.kind, column.role) for column in info.columns]
    settings = [str(info.as_of), info.spacing, info.horizon, info.missing, info.stockouts]
    common = json.dumps([*settings, columns]).encode()
    sealed = dict(info.stores)
    for store in stores:
        names = [name_rows(store, each) for each in info.stores[store].slices]
        names += [name_items(store), name_borrowed(store)]
        names += [name for table in info.tables for name in name_known(info, table, store)]
        digest = hashlib.sha256(common)
        for name in names:
            if name in info.parts:
                digest.update(f"{name}:{read_checksum(info.parts[name])}\n".encode())
        of_store = sealed[store]
        digest.update(json.dumps([of_store.attributes, of_store.missing, of_store.without], sort_keys=True).encode())
        sealed[store] = of_store.model_copy(update={"sha256": digest.hexdigest()})
    return info.model_copy(update={"stores": sealed})
