"""A folder as a blob store: all-or-nothing writes, compare-and-swap under a lock that is released if its holder dies.

The tag of an object is the SHA-256 of its bytes. Two states with equal bytes are the same state, so a swap that finds
the bytes it expects can lose nothing; unlike a time or an inode number, the tag neither depends on the clock nor
changes when the folder is copied.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from foreact.blobs.names import check_name
from foreact.blobs.protocol import Blob, BlobConflict, BlobInfo, BlobNotFound, BlobUnavailable, DiskFull

# No object can have these names, because names do not begin with a dot.
SCRATCH, LOCKS = ".scratch", ".locks"
# Names share this many lock files, so that the folder does not fill with them.
LOCK_FILES = 64
ABANDONED_SECONDS = 6 * 3600
FULL = (errno.ENOSPC, errno.EDQUOT)


class FolderStore:
    """Objects as files below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._swept = False

    def __str__(self) -> str:
        return f"the folder {self.root}"

    def read(self, name: str) -> Blob:
        """Read one object, or raise BlobNotFound."""
        with self._explain_os_errors("read", name):
            data = self._object_path(name).read_bytes()
        return Blob(data, _compute_tag(data))

    def read_if_changed(self, name: str, etag: str) -> Blob | None:
        """Read one object unless it still has that tag."""
        blob = self.read(name)
        return None if blob.etag == etag else blob

    def open(self, name: str) -> BinaryIO:
        """Open one object for streaming."""
        with self._explain_os_errors("read", name):
            return self._object_path(name).open("rb")

    def write(self, name: str, data: bytes | Path, *, if_match: str | None = None, if_absent: bool = False) -> str:
        """Write one object whole and return its new tag."""
        target = self._object_path(name)
        with self._explain_os_errors("write", name):
            self._sweep_drafts()
            scratch, tag = self._write_draft(data)
            try:
                with self._hold_lock(name):
                    self._check_condition(target, name, if_match, if_absent)
                    _replace_durably(scratch, target)
            except BaseException:
                scratch.unlink(missing_ok=True)
                raise
        return tag

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        """Return the objects whose names begin with the prefix, by name."""
        folder = prefix.rpartition("/")[0]
        start = self.root / folder if folder else self.root
        with self._explain_os_errors("list", prefix):
            names = sorted(name for name in self._walk_names(start) if name.startswith(prefix))
        for name in names:
            try:
                state = (self.root / name).stat()
            except FileNotFoundError:
                continue
            fingerprint = f"{state.st_ino:x}-{state.st_mtime_ns:x}-{state.st_size:x}"
            yield BlobInfo(name, state.st_size, fingerprint, datetime.fromtimestamp(state.st_mtime, UTC))

    def list_folders(self, prefix: str) -> Iterator[str]:
        """Return the folders directly within one, each with its closing slash; the prefix has one too."""
        with self._explain_os_errors("list", prefix):
            found = sorted(path.name for path in (self.root / prefix).glob("*/") if not path.name.startswith("."))
        yield from (f"{prefix}{name}/" for name in found)

    def delete(self, *names: str) -> None:
        """Delete objects; one that does not exist is not an error."""
        for name in names:
            self._delete_object(name)

    def _delete_object(self, name: str) -> None:
        path = self._object_path(name)
        with self._explain_os_errors("delete", name), self._hold_lock(name):
            path.unlink(missing_ok=True)
            # Folders are not objects, so one that is empty is removed.
            for parent in path.relative_to(self.root).parents[:-1]:
                try:
                    (self.root / parent).rmdir()
                except OSError:
                    break

    def _object_path(self, name: str) -> Path:
        return self.root / check_name(name)

    def _walk_names(self, start: Path) -> Iterator[str]:
        for folder, folders, files in os.walk(start):
            folders[:] = [each for each in folders if not each.startswith(".")]
            for file in files:
                if not file.startswith("."):
                    yield Path(folder, file).relative_to(self.root).as_posix()

    def _write_draft(self, data: bytes | Path) -> tuple[Path, str]:
        """Write the bytes to the disk, under a name that no reader sees; return the path and the tag."""
        folder = self.root / SCRATCH
        folder.mkdir(parents=True, exist_ok=True)
        scratch = folder / uuid.uuid4().hex
        try:
            with scratch.open("xb") as file:
                if isinstance(data, Path):
                    with data.open("rb") as source:
                        shutil.copyfileobj(source, file, 1 << 20)
                else:
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if isinstance(data, Path):
                with scratch.open("rb") as file:
                    return scratch, hashlib.file_digest(file, "sha256").hexdigest()
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
        return scratch, _compute_tag(data)

    @contextmanager
    def _hold_lock(self, name: str) -> Iterator[None]:
        """Hold the name's lock; the kernel releases it when the holder dies."""
        number = hashlib.sha256(name.encode()).digest()[0] % LOCK_FILES
        path = self.root / LOCKS / f"{number:02d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _check_condition(self, target: Path, name: str, if_match: str | None, if_absent: bool) -> None:
        if if_absent and target.exists():
            raise BlobConflict(f"{name} is already in {self}.")
        if if_match is not None and (not target.exists() or _compute_tag(target.read_bytes()) != if_match):
            raise BlobConflict(f"{name} in {self} is no longer in the state that was read.")

    def _sweep_drafts(self) -> None:
        """Delete, once per process, the drafts that dead writers left."""
        if self._swept:
            return
        self._swept = True
        for scratch in (self.root / SCRATCH).glob("*"):
            # Another writer may remove its own draft meanwhile.
            with suppress(FileNotFoundError):
                if time.time() - scratch.stat().st_mtime > ABANDONED_SECONDS:
                    scratch.unlink()

    @contextmanager
    def _explain_os_errors(self, verb: str, name: str) -> Iterator[None]:
        """Raise errors of the file system as one sentence."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR) and verb == "read":
                raise BlobNotFound(f"{name} is not in {self}.") from None
            remedy = {
                errno.ENOSPC: "the disk is full: free space and run again",
                errno.EDQUOT: "the disk quota is used up: free space and run again",
                errno.EFBIG: "the file size limit is reached: raise it and run again",
                errno.EROFS: "the file system is read-only: choose another workspace",
                errno.EACCES: "permission denied: let this user write there or choose another workspace",
                errno.EPERM: "permission denied: let this user write there or choose another workspace",
            }.get(error.errno or 0, str(error))
            refusal = DiskFull if error.errno in FULL else BlobUnavailable
            raise refusal(f"Cannot {verb} {name} in {self}: {remedy}.") from None


def _compute_tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _replace_durably(scratch: Path, target: Path) -> None:
    """Move the file to its name so that both survive a power cut."""
    while True:
        missing = [folder for folder in target.parents if not folder.exists()]
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            scratch.replace(target)
            break
        except FileNotFoundError:
            # A deletion has removed the empty folder meanwhile.
            if not scratch.exists():
                raise
    for folder in {target.parent, *(folder.parent for folder in missing)}:
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
