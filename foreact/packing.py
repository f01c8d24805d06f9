"""A model as one file: a plain zip whose bytes depend on nothing but the model's."""

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from foreact.blobs.names import check_name

# Zip's first day: the time of packing is no part of a model.
EPOCH = (1980, 1, 1, 0, 0, 0)


def pack_model(save: Callable[[Path], None]) -> bytes:
    """Return what `save` writes into a folder as one zip."""
    with tempfile.TemporaryDirectory() as scratch:
        save(Path(scratch))
        return pack_folder(Path(scratch))


@contextmanager
def unpacked(data: bytes) -> Iterator[Path]:
    """Provide the folder of a zip's files for as long as they are needed."""
    with tempfile.TemporaryDirectory() as scratch:
        unpack_folder(data, Path(scratch))
        yield Path(scratch)


def pack_folder(folder: Path) -> bytes:
    """Return a folder's files as one zip, not compressed, because their contents already are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                archive.writestr(zipfile.ZipInfo(check_name(name), EPOCH), path.read_bytes())
    return buffer.getvalue()


def unpack_folder(data: bytes, folder: Path) -> None:
    """Write a zip's files into a folder, and nowhere else."""
    unpack_file(io.BytesIO(data), folder)


def unpack_file(file: IO[bytes], folder: Path) -> None:
    """Write the files of a zip that may be large into a folder, and nowhere else."""
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            path = folder / check_name(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))


def compute_checksum(data: bytes) -> str:
    """Return the SHA-256 that a version's tag holds."""
    return hashlib.sha256(data).hexdigest()
