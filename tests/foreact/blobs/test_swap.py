"""Records changed by many at once: nobody's change is lost, and nobody takes another's write for their own."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from foreact.blobs import Blob, BlobStore, BlobUnavailable
from foreact.blobs import swap as module
from foreact.blobs.swap import read_if_present, swap_object

NAME = "records/one.json"


def append(blob: Blob | None) -> bytes:
    return (blob.data if blob else b"") + b"x"


def test_no_change_is_lost(store: BlobStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: swap_object(store, NAME, append), range(12)))
    assert store.read(NAME).data == b"x" * 12


def test_nothing_is_written_where_nothing_succeeds(store: BlobStore) -> None:
    swap_object(store, NAME, lambda blob: None)
    assert read_if_present(store, NAME) is None


def overtaken_once(store: BlobStore, by: bytes) -> Any:
    """Let somebody else write between the first look and the first write."""
    seen: list[bytes | None] = []

    def succeed(blob: Blob | None) -> bytes | None:
        seen.append(blob.data if blob else None)
        if len(seen) == 1:
            store.write(NAME, by, if_absent=True)
        return None if blob else b"claimed"

    return succeed, seen


def test_the_same_bytes_by_somebody_else_are_not_taken_for_our_own(store: BlobStore) -> None:
    succeed, seen = overtaken_once(store, b"claimed")
    swap_object(store, NAME, succeed, pause=lambda seconds: None)
    assert seen == [None, b"claimed"], "whoever was overtaken looks again, and sees that it is claimed"


def test_whoever_can_tell_their_own_bytes_is_asked(store: BlobStore) -> None:
    succeed, seen = overtaken_once(store, b"claimed")
    swap_object(store, NAME, succeed, was_written=lambda data: data == b"claimed", pause=lambda seconds: None)
    assert seen == [None]


def test_patience_ends_in_a_sentence(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", -1.0)
    succeed, _ = overtaken_once(store, b"theirs")
    with pytest.raises(BlobUnavailable, match=r"records/one.json in .* changed 1 times while it was being replaced"):
        swap_object(store, NAME, succeed, pause=lambda seconds: None)
    assert store.read(NAME).data == b"theirs"
