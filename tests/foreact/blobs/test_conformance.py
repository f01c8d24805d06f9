"""What every blob store promises, asked of a folder and of Azure Blob."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from foreact.blobs import BlobConflict, BlobNotFound
from foreact.errors import ForeactError
from foreact.naming import encode_id


def test_what_is_written_is_read(store):
    etag = store.write("a/b.json", b"one")
    blob = store.read("a/b.json")
    assert (blob.data, blob.etag) == (b"one", etag)
    assert store.write("a/b.json", b"two") != etag
    assert store.read("a/b.json").data == b"two"


def test_an_empty_object_is_an_object(store):
    store.write("empty", b"")
    assert store.read("empty").data == b""


def test_what_is_not_there_is_not_found(store):
    with pytest.raises(BlobNotFound, match="a/b is not in"):
        store.read("a/b")
    with pytest.raises(BlobNotFound):
        store.open("a/b")
    with pytest.raises(BlobNotFound):
        store.read_if_changed("a/b", '"0x1"')


def test_a_poll_answers_only_when_something_changed(store):
    etag = store.write("x", b"one")
    assert store.read_if_changed("x", etag) is None
    store.write("x", b"two")
    assert store.read_if_changed("x", etag).data == b"two"


def test_if_absent_writes_once(store):
    store.write("x", b"one", if_absent=True)
    with pytest.raises(BlobConflict):
        store.write("x", b"two", if_absent=True)
    assert store.read("x").data == b"one"


def test_if_match_writes_only_over_that_state(store):
    first = store.write("x", b"one")
    second = store.write("x", b"two", if_match=first)
    with pytest.raises(BlobConflict):
        store.write("x", b"three", if_match=first)
    assert store.read("x").data == b"two"
    store.write("x", b"three", if_match=second)


def test_if_match_on_nothing_is_a_conflict(store):
    etag = store.write("x", b"one")
    store.delete("x")
    with pytest.raises(BlobConflict):
        store.write("x", b"two", if_match=etag)
    with pytest.raises(BlobNotFound):
        store.read("x")


def test_delete_twice_is_no_error(store):
    store.write("a/b/c", b"one")
    store.delete("a/b/c")
    store.delete("a/b/c")
    assert list(store.list()) == []


def test_many_are_deleted_at_once_and_who_is_not_there_takes_nothing_from_the_others(store):
    names = [f"many/{encode_id(item)}/{number}" for item in ("a b", "ä%", "../x") for number in range(100)]
    for name in names[::2]:
        store.write(name, b"one")
    store.write("many/left", b"one")
    store.delete(*names)
    store.delete()
    assert [info.name for info in store.list("many/")] == ["many/left"]


def test_list_by_prefix_in_order_of_names(store):
    names = ["a/2", "a/10", "a-b", "a/1/x", "b", "a", "ab/1"]
    began = datetime.now(UTC)
    for name in names[:5] + names[6:]:
        store.write(name, b"1" * len(name))
    found = list(store.list())
    assert [info.name for info in found] == sorted([*names[:5], *names[6:]])
    assert [info.name for info in store.list("a/")] == ["a/1/x", "a/10", "a/2"]
    assert [info.name for info in store.list("a/1")] == ["a/1/x", "a/10"]
    assert [info.size for info in store.list("ab")] == [4]
    assert list(store.list("c/d")) == []
    # Azure tells whole seconds, and a file system's clock may lag a little.
    assert began - timedelta(seconds=2) < found[0].modified <= datetime.now(UTC)


def test_a_listing_shows_that_an_object_changed(store):
    store.write("x", b"one")
    [before] = store.list("x")
    store.write("x", b"two")
    [after] = store.list("x")
    assert before.etag != after.etag


def test_large_objects_are_streamed(store, tmp_path):
    big = tmp_path / "big"
    block = bytes(range(256)) * 4096
    with big.open("wb") as file:
        for _ in range(40):
            file.write(block)
    etag = store.write("big", big)
    with store.open("big") as file:
        assert file.read(300) == block[:300]
        file.seek(39 * len(block))
        assert file.read() == block
    with pytest.raises(BlobConflict):
        store.write("big", big, if_absent=True)
    assert store.write("big", big, if_match=etag)


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a/.b", "a\\b", "a\0b", "a" * 2000])
def test_a_name_cannot_leave_the_store(store, name):
    with pytest.raises(ForeactError, match="is not an object name"):
        store.write(name, b"x")
    with pytest.raises(ForeactError, match="is not an object name"):
        store.read(name)


def test_names_of_any_script(store):
    for name in ["größe/Ä.json", "日本/店~2E.parquet", "a b/c+d%20e?f#g&h=i"]:
        store.write(name, name.encode())
        assert store.read(name).data == name.encode()
        assert [info.name for info in store.list(name)] == [name]


def test_of_many_writers_at_once_one_wins(make_store):
    def claim(number: int) -> bool:
        try:
            make_store().write("claim", b"%d" % number, if_absent=True)
        except BlobConflict:
            return False
        return True

    make_store().write("other", b"")
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(16))) == 1


def test_no_increment_is_lost(make_store):
    make_store().write("counter", b"0")

    def increment(_: int) -> None:
        store = make_store()
        while True:
            blob = store.read("counter")
            try:
                store.write("counter", b"%d" % (int(blob.data) + 1), if_match=blob.etag)
            except BlobConflict:
                continue
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(increment, range(40)))
    assert make_store().read("counter").data == b"40"
