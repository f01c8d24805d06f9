"""Finding files, and knowing when they changed."""

import os
from functools import partial
from pathlib import Path

import pytest

from components.locate.step import locate
from foreact.blobs import BlobStore
from foreact.blobs.folder import FolderStore
from foreact.errors import ForeactError
from foreact.runs.events import Events
from tests.shops import days, take_in, write_rows

ROWS = [(day, "A", "x", 1) for day in days(40)]
URL = "https://shop.blob.core.windows.net/data"


def open_folder(url: str, store: BlobStore) -> tuple[BlobStore, str]:
    return store, url.removeprefix(URL).strip("/")


def test_a_version_changes_with_every_file_and_only_then(tmp_path: Path) -> None:
    events = Events(tmp_path / "events")
    folder = tmp_path / "in"
    folder.mkdir()
    path = write_rows(folder / "a.csv", ROWS)
    known = write_rows(tmp_path / "known.csv", ROWS, "date,store,item,price")

    def version() -> str:
        return locate(history=str(folder), known=[str(known)], events=events)

    before = version()
    assert version() == before
    (folder / "notes.md").write_text("no table")
    assert version() == before
    os.utime(path, ns=(1, 1))
    touched = version()
    write_rows(known, ROWS[1:], "date,store,item,price")
    changed = version()
    write_rows(folder / "b.csv", ROWS)
    more = version()
    assert len({before, touched, changed, more}) == 4
    assert locate(history=str(known), known=[str(folder)], events=events) != more


def test_a_blob_prefix_is_read_like_a_folder(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "blobs")
    write_rows(tmp_path / "part.csv", ROWS[:20])
    store.write("sales/2025/a.csv", (tmp_path / "part.csv").read_bytes())
    write_rows(tmp_path / "part.csv", ROWS[20:])
    store.write("sales/2025/b.csv", tmp_path / "part.csv")
    store.write("sales/2025/_SUCCESS", b"")
    store.write("sales/20250/c.csv", b"another folder")
    open_url = partial(open_folder, store=store)
    for uri in (f"{URL}/sales/2025", f"{URL}/sales/2025/"):
        assert take_in(tmp_path / uri[-5:].strip("/"), uri, open_url=open_url).info.rows == 40
    assert take_in(tmp_path / "one", f"{URL}/sales/2025/b.csv", open_url=open_url).info.rows == 20
    before = locate(history=f"{URL}/sales/2025", known=[], open_url=open_url, events=Events(tmp_path / "events"))
    store.write("sales/2025/b.csv", b"changed")
    assert (
        locate(history=f"{URL}/sales/2025", known=[], open_url=open_url, events=Events(tmp_path / "events")) != before
    )


def test_an_empty_prefix_is_told(tmp_path: Path) -> None:
    open_url = partial(open_folder, store=FolderStore(tmp_path / "blobs"))
    with pytest.raises(ForeactError, match="has no files that end in"):
        take_in(tmp_path, f"{URL}/nothing", open_url=open_url)
    with pytest.raises(ForeactError, match="no blob store is set up here"):
        take_in(tmp_path, f"{URL}/nothing")
