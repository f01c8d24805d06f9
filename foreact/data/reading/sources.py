"""Where a table's files are: a file, a folder, a glob, or a prefix in Azure Blob."""

import glob
import hashlib
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from foreact.blobs.protocol import BlobStore
from foreact.errors import ForeactError, ServiceUnavailable, name_examples

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".pq")


# Opens https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX: returns the container's objects and the prefix.
OpenUrl = Callable[[str], tuple[BlobStore, str]]


@dataclass(frozen=True)
class Source:
    """One file of a table, and the tag that changes when it does."""

    name: str
    size: int
    tag: str
    path: Path | None = None
    blobs: BlobStore | None = None


def find_sources(uri: str, open_url: OpenUrl | None = None) -> list[Source]:
    """List a table's files, by name."""
    sources = _find_blobs(uri, open_url) if is_remote(uri) else _find_files(uri)
    if not sources:
        raise ForeactError(f"{uri} has no files that end in {', '.join(ENDINGS)}.")
    return sorted(sources, key=lambda source: source.name)


def is_remote(uri: str) -> bool:
    """Return whether a URI names objects in a blob store."""
    return uri.startswith(("https://", "http://"))


def fingerprint_sources(uris: Iterable[str], open_url: OpenUrl | None = None) -> str:
    """Return a text that changes whenever any file of these tables does; cheap, because nothing is read."""
    return fingerprint_states(list_states(uris, open_url))


def list_states(uris: Iterable[str], open_url: OpenUrl | None = None) -> dict[str, list[Source]]:
    """List the files of each table as they are now."""
    return {uri: find_sources(uri, open_url) for uri in uris}


def fingerprint_states(states: Mapping[str, list[Source]]) -> str:
    """Return a text that changes with any file."""
    digest = hashlib.sha256()
    for uri, sources in states.items():
        digest.update(f"{uri}\0".encode())
        for source in sources:
            digest.update(f"{source.name}\0{source.size}\0{source.tag}\0".encode(errors="surrogatepass"))
    return digest.hexdigest()[:32]


def refuse_changes(before: Mapping[str, list[Source]], after: Mapping[str, list[Source]]) -> None:
    """Raise if files are not as they were: an upload in progress is nobody's sales."""
    tags = [
        {(one.name, one.size, one.tag) for sources in states.values() for one in sources} for states in (before, after)
    ]
    changed = sorted({name for name, _, _ in tags[0] ^ tags[1]})
    if changed:
        raise ServiceUnavailable(
            f"{name_examples(changed)} changed while the tables were read, as in an upload; run again once it has "
            "ended. A file that is uploaded under another name and then renamed is never seen in part."
        )


def find_partition(name: str) -> dict[str, str]:
    """Return the columns that the folders just above a file name, as in store=A/month=2025-01/part.parquet."""
    found: dict[str, str] = {}
    for folder in reversed(name.split("/")[:-1]):
        key, sign, value = folder.partition("=")
        if not sign or not key:
            break
        found[unquote(key)] = unquote(value)
    return dict(reversed(found.items()))


def fetch_files(sources: list[Source], scratch: Path) -> list[tuple[str, Path]]:
    """Return each file's name and where it lies on this machine; what lies elsewhere is copied into the folder."""
    files: list[tuple[str, Path]] = []
    for source in sources:
        path = source.path
        if path is None:
            scratch.mkdir(parents=True, exist_ok=True)
            path = scratch / f"{len(files)}-{hashlib.sha256(source.name.encode()).hexdigest()[:12]}"
            if source.blobs is None:
                raise ForeactError(f"{source.name} cannot be read: no blob store is given for it.")
            with source.blobs.open(source.name) as remote, path.open("wb") as local:
                shutil.copyfileobj(remote, local, 1 << 20)
        files.append((source.name, path))
    return files


def _find_files(uri: str) -> list[Source]:
    if SCHEME.match(uri):
        raise ForeactError(
            f"{uri} cannot be read: give a path on this machine, or one in Azure Blob as in "
            "https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX, and copy files of other places there first."
        )
    path = Path(uri).expanduser()
    try:
        if path.is_dir():
            paths = [one for one in path.rglob("*") if one.is_file() and _is_table(one.name)]
        elif path.exists():
            if not path.is_file():
                raise ForeactError(f"{uri} is no file but a pipe or a device: write what it gives to a file first.")
            paths = [path]
        else:
            # The whole path is a pattern, not one within a folder.
            paths = [Path(one) for one in glob.glob(str(path), recursive=True) if Path(one).is_file()]  # noqa: PTH207
            if not paths:
                raise ForeactError(f"There is no file {uri}.")
        # A link is followed, so that a file replaced behind it is seen.
        return [Source(str(one), (stat := one.stat()).st_size, str(stat.st_mtime_ns), path=one) for one in paths]
    except OSError as error:
        raise ForeactError(f"{uri} cannot be read: {error.strerror or error}.") from error


def _find_blobs(uri: str, open_url: OpenUrl | None) -> list[Source]:
    if open_url is None:
        raise ForeactError(f"{uri} is in a blob store, and no blob store is set up here.")
    blobs, prefix = open_url(uri)
    listed = list(blobs.list(prefix))
    exact = [blob for blob in listed if blob.name == prefix]
    folder = prefix.rstrip("/") + "/" if prefix else ""
    inside = [blob for blob in listed if blob.name.startswith(folder) and _is_table(blob.name)]
    return [Source(blob.name, blob.size, blob.etag, blobs=blobs) for blob in exact or inside]


def _is_table(name: str) -> bool:
    return name.lower().endswith(ENDINGS) and not name.rsplit("/", 1)[-1].startswith((".", "_"))
