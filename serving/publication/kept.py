"""Stores' arrays as files that are mapped into memory: all processes of a machine share them, and their memory.

A file is named by the content that it was made from, written whole or not at all, and begins with its checksum. The
ones asked for least lately make room; who has mapped one of them reads on.
"""

import hashlib
import logging
import os
import threading
import uuid
from contextlib import suppress
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa

from serving.publication.detail import StoreDetail

log = logging.getLogger("foreact.serving")
SUFFIX = ".arrow"
# The checksum in front, as long as the alignment of what follows.
HEAD = 64


class KeptFiles:
    """A folder of stores' arrays, which several processes may use at once."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder
        self.most_bytes = most_bytes
        self._lock = threading.Lock()

    def read(self, key: str) -> StoreDetail | None:
        """Return the arrays that are kept under a name; None if there are none, or they are damaged."""
        path = self._path(key)
        try:
            with pa.memory_map(str(path)) as file:
                data = file.read_buffer()
            content = data.slice(HEAD)
            if data.size <= HEAD or hashlib.sha256(content).hexdigest().encode() != bytes(data.slice(0, HEAD)):
                raise ValueError("its bytes do not match their checksum")
            with suppress(OSError):
                os.utime(path)
            return _decode(content)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, pa.ArrowException) as problem:
            log.warning("%s is damaged and made again: %s", path, problem)
            with suppress(OSError):
                path.unlink()
            return None

    def write(self, key: str, detail: StoreDetail) -> None:
        """Keep arrays under a name; a disk that takes nothing more costs speed alone."""
        content = _encode(detail)
        if HEAD + content.size > self.most_bytes:
            return
        draft = self.folder / f".{uuid.uuid4().hex}"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with draft.open("xb") as file:
                file.write(hashlib.sha256(content).hexdigest().encode())
                file.write(content)
            # Room is made before, so that there is never more than the bound.
            self._make_room()
            draft.replace(self._path(key))
        except OSError as problem:
            log.warning("arrays cannot be kept in %s: %s", self.folder, problem)
            with suppress(OSError):
                draft.unlink()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{SUFFIX}"

    def _make_room(self) -> None:
        """Delete the files that were asked for least lately, as far as it takes."""
        with self._lock:
            files = []
            for found in os.scandir(self.folder):
                # Others delete too.
                with suppress(FileNotFoundError):
                    files.append((found.stat().st_mtime_ns, found.stat().st_size, found.path))
            # The draft is among them.
            total = sum(each for _, each, _ in files)
            for _, each, path in sorted(files):
                if total <= self.most_bytes:
                    break
                with suppress(FileNotFoundError):
                    Path(path).unlink()
                total -= each


def _encode(detail: StoreDetail) -> pa.Buffer:
    """Return arrays as an Arrow file: one row, a column for each kind."""
    about = {"items": detail.items, "quantiles": list(detail.quantiles), "drivers": list(detail.drivers)}
    values = {
        "about": orjson.dumps(about),
        "forecasts": np.stack(list(detail.quantiles.values())).tobytes(),
        "past": np.ascontiguousarray(detail.past).tobytes(),
        "drivers": np.array(list(detail.drivers.values()), np.float32).tobytes(),
        "scorecard": detail.scorecard_file,
    }
    table = pa.table({name: pa.array([value], pa.large_binary()) for name, value in values.items()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _decode(content: pa.Buffer) -> StoreDetail:
    table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
    parts = {name: table[name].chunk(0).buffers()[2] for name in table.column_names}
    about = orjson.loads(memoryview(parts["about"]))
    items = tuple(about["items"])

    def floats(name: str) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
        part = parts[name]
        return np.frombuffer(part, np.float32) if part is not None and part.size else np.empty(0, np.float32)

    forecasts = floats("forecasts").reshape(len(about["quantiles"]), len(items), -1)
    past = floats("past")
    drivers = floats("drivers").reshape(len(about["drivers"]), forecasts.shape[2])
    scorecard = parts["scorecard"]
    return StoreDetail(
        items=items,
        quantiles=dict(zip(about["quantiles"], forecasts, strict=True)),
        past=past.reshape(len(items), past.size // len(items)),
        drivers=dict(zip(about["drivers"], drivers, strict=True)),
        scorecard_file=b"" if scorecard is None else scorecard.to_pybytes(),
    )
