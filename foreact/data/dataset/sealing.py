"""One hash a store over everything that its model can see."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from foreact.data.dataset.folder import DatasetInfo
from foreact.naming import encode_id


def hash_stores(root: Path, info: DatasetInfo, stores: Iterable[str]) -> DatasetInfo:
    """Return the record with the hashes of these stores as their files are now."""
    shared = {
        table.name: _hash_file(root / "known" / f"{table.name}.parquet") for table in info.tables if not table.by_store
    }
    columns = [(column.name, column.kind, column.role) for column in info.columns]
    settings = [str(info.as_of), info.spacing, info.horizon, info.missing, info.stockouts]
    common = json.dumps([*settings, columns, shared]).encode()
    sealed = dict(info.stores)
    for store in stores:
        name = f"{encode_id(store)}.parquet"
        paths = [root / "stores" / name, root / "items" / name, root / "borrowed" / name]
        paths += [root / "known" / table.name / name for table in info.tables if table.by_store]
        digest = hashlib.sha256(common)
        for path in paths:
            if path.exists():
                digest.update(f"{path.parent.name}:{_hash_file(path)}\n".encode())
        of_store = sealed[store]
        digest.update(json.dumps([of_store.attributes, of_store.missing, of_store.without], sort_keys=True).encode())
        sealed[store] = sealed[store].model_copy(update={"sha256": digest.hexdigest()})
    return info.model_copy(update={"stores": sealed})


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
