"""The objects of datasets: immutable, each named by the day on which it was written and the checksum of its bytes.

dataset/<day>/<checksum>   a part, which is a Parquet file, or a record, which is JSON
dataset/tallies/<store>    what checks keep of a store's rows, the one thing that is replaced

Nothing is written into the folder of a day gone by, so what is old can be deleted while others write.
"""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from foreact.blobs.protocol import BlobNotFound, BlobStore
from foreact.errors import ForeactError
from foreact.naming import encode_id

FOLDER = "dataset/"
# What checks keep of each store's rows: replaced, and made anew where it is gone.
TALLIES = f"{FOLDER}tallies/"
# Objects that are written at once.
THREADS = 8


def write_object(blobs: BlobStore, data: bytes | Path) -> str:
    """Write an object and return its name."""
    if isinstance(data, Path):
        with data.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
    else:
        checksum = hashlib.sha256(data).hexdigest()
    name = f"{FOLDER}{datetime.now(UTC).date()}/{checksum}"
    blobs.write(name, data)
    return name


def write_files(blobs: BlobStore, files: Mapping[str, Path]) -> dict[str, str]:
    """Write files, several at a time; return their objects, by the names that the files go by."""
    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(files, pool.map(lambda path: write_object(blobs, path), files.values()), strict=True))


def read_object(blobs: BlobStore, name: str) -> bytes:
    """Read an object; raise if its bytes are not those that were written."""
    try:
        data = blobs.read(name).data
    except BlobNotFound:
        raise ForeactError(
            f"{name} is no longer in {blobs}: its dataset is not kept any more; run again from the start."
        ) from None
    if hashlib.sha256(data).hexdigest() != read_checksum(name):
        raise ForeactError(f"{name} in {blobs} is damaged: read the sales anew, with --full.")
    return data


def name_tally(store: str) -> str:
    """Return the object of what checks keep of a store's rows."""
    return f"{TALLIES}{encode_id(store)}"


def read_checksum(name: str) -> str:
    """Return the checksum that an object is named by."""
    return name.rpartition("/")[2]
