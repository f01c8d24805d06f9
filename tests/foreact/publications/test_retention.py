"""What is deleted, and what never is."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from foreact.errors import ForeactError
from foreact.publications import (
    CURRENT,
    Publisher,
    Reader,
    confirm_objects,
    list_named_models,
    prune_archive,
    prune_objects,
    put_object,
)
from foreact.publications.contract import manifest_name
from foreact.publications.sealing import seal_manifest
from tests.foreact.publications.stores import MemoryStore, put, table_bytes
from tests.waiting import until


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = datetime(2024, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def days(clock):
    """Ten days of publications of two stores, of which the last three are kept whole."""
    store = MemoryStore(now=clock)
    publisher = Publisher(store, keep_versions=3, now=clock)
    for day in range(10):
        clock.time += timedelta(days=1)
        names = ("1", "2") if day == 0 else ("1",)
        publisher.publish({name: put(store, name, f"r{day}", day) for name in names}, by="x")
    return store


def test_the_last_versions_stay_whole_and_older_objects_go(days, clock):
    deleted = prune_objects(days, now=clock)
    assert deleted == [f"forecasts/data/r{day}/1.parquet" for day in range(7)]
    reader = Reader(days)
    for number in (8, 9, 10):
        for name, entry in reader.read_version(number).stores.items():
            value = number - 1 if name == "1" else 0
            assert reader.read_object(entry.objects["forecasts"]) == table_bytes(name, value)
    # The record of what was stays.
    assert reader.list_versions() == list(range(1, 11))
    assert prune_objects(days, now=clock) == []


def test_old_manifests_go_but_for_those_of_retained_versions(days, clock):
    deleted = prune_archive(days, keep=timedelta(days=5), now=clock)
    assert deleted == [manifest_name(number) for number in range(1, 5)]
    assert [manifest.version for manifest in Reader(days).read_history()] == list(range(10, 4, -1))
    clock.time += timedelta(days=90)
    put(days, "1", "later", 1)
    Publisher(days, keep_versions=3, now=clock).publish({"1": put(days, "1", "r10", 10)}, by="x")
    prune_archive(days, keep=timedelta(days=5), now=clock)
    assert Reader(days).list_versions() == [9, 10, 11]


def test_the_models_of_retained_versions_are_named(days):
    assert list_named_models(days) == {("foreact-1", "1"), ("foreact-2", "1")}
    days.write(manifest_name(9), b"torn")
    with pytest.raises(ForeactError, match="damaged"):
        list_named_models(days)
    days.write(CURRENT, b"torn")
    with pytest.raises(ForeactError, match="nothing was deleted"):
        list_named_models(days)


def test_what_is_pruned_cannot_be_restored_and_what_is_retained_can(days, clock):
    prune_objects(days, now=clock)
    publisher = Publisher(days, keep_versions=3, now=clock)
    with pytest.raises(ForeactError, match=r"retains versions 8 to 10\."):
        publisher.restore(7, by="x", reason="y")
    assert publisher.restore(8, by="x", reason="y").stores["1"].run == "r7"
    clock.time += timedelta(days=9)
    prune_objects(days, now=clock)
    reader = Reader(days)
    assert reader.read_object(reader.read_current().manifest.stores["1"].objects["forecasts"]) == table_bytes("1", 7)


def test_a_restore_gives_up_no_retained_version(days, clock):
    restored = Publisher(days, keep_versions=1, now=clock).restore(8, by="x", reason="y")
    assert (restored.version, restored.retained_from) == (11, 8)


def test_keeping_more_later_brings_nothing_back(days, clock):
    manifest = Publisher(days, keep_versions=100, now=clock).publish({"1": put(days, "1", "r10", 10)}, by="x").manifest
    assert manifest.retained_from == 8


def test_many_versions_in_a_day_take_away_neither_the_days_before_nor_that_night(days, clock):
    publisher = Publisher(days, keep_versions=3, now=clock)
    clock.time += timedelta(days=1)
    for number in range(11, 41):
        publisher.publish({"1": put(days, "1", f"r{number}", number)}, by="x")
    manifest = Reader(days).read_current().manifest
    assert manifest.list_retained() == [*range(40, 10, -1), 10, 9]
    clock.time += timedelta(days=1, hours=1)
    manifest = publisher.publish({"1": put(days, "1", "r41", 41)}, by="x").manifest
    # Of yesterday the last version, and as many as are kept anyway.
    assert manifest.list_retained() == [41, 40, 39, 10]
    clock.time += timedelta(days=2)
    deleted = prune_objects(days, now=clock)
    assert {f"forecasts/data/r{number}/1.parquet" for number in (8, 11, 38)} < set(deleted)
    prune_archive(days, keep=timedelta(0), now=clock)
    assert [each.version for each in Reader(days).read_history(retained=True)] == [41, 40, 39, 10]
    with pytest.raises(ForeactError, match=r"retains versions 10, 39 to 41\."):
        publisher.restore(12, by="x", reason="y")
    restored = publisher.restore(10, by="x", reason="y")
    assert (restored.stores["1"].run, restored.list_retained()) == ("r9", [42, 41, 40, 39, 10])


def test_a_day_that_begins_with_a_restore_takes_nothing_from_the_day_before(days, clock):
    publisher = Publisher(days, keep_versions=3, now=clock)
    clock.time += timedelta(days=1)
    # The command that restores knows no other number than the default.
    assert Publisher(days, now=clock).restore(8, by="x", reason="y").retained_days[-1] == 10
    for number in range(12, 16):
        publisher.publish({"1": put(days, "1", f"r{number}", number)}, by="x")
    clock.time += timedelta(days=1)
    manifest = publisher.publish({"1": put(days, "1", "r16", 16)}, by="x").manifest
    assert manifest.list_retained() == [16, 15, 14, 10]


def test_what_an_older_release_is_given_back_names_no_single_days(days, clock):
    old = Reader(days).read_version(9).model_copy(update={"schema_version": 1})
    days.write(manifest_name(9), seal_manifest(old))
    publisher = Publisher(days, keep_versions=3, now=clock)
    for number in range(11, 15):
        clock.time += timedelta(hours=1)
        publisher.publish({"1": put(days, "1", f"r{number}", number)}, by="x")
    assert Reader(days).read_current().manifest.retained_days
    restored = publisher.restore(9, by="x", reason="y")
    assert (restored.schema_version, restored.list_retained()) == (1, [15, 14, 13, 12, 11, 10])
    assert b"retained_days" not in days.read(CURRENT).data


def test_objects_of_a_publisher_on_its_way_stay(days, clock):
    put(days, "3", "on-its-way", 3)
    clock.time += timedelta(hours=20)
    put(days, "4", "on-its-way", 4)
    assert not any("on-its-way" in name for name in prune_objects(days, now=clock))


def test_what_the_current_version_alone_names_stays_however_old(days, clock):
    clock.time += timedelta(days=9)
    put(days, "3", "on-its-way", 3)
    prune_objects(days, now=clock)
    reader = Reader(days)
    assert reader.read_object(reader.read_current().manifest.stores["1"].objects["forecasts"]) == table_bytes("1", 9)


@pytest.mark.parametrize("publishes", [False, True])
def test_objects_of_a_step_that_is_run_again_are_as_good_as_new(days, clock, publishes):
    name = "forecasts/data/again/1.parquet"
    written = put_object(days, name, table_bytes("1", 5))
    clock.time += timedelta(hours=20)
    if publishes:
        confirm_objects(days, "again", [written], now=clock)
    else:
        assert put_object(days, name, table_bytes("1", 5)) == written
    clock.time += timedelta(hours=5)
    put(days, "9", "another", 9)
    assert name not in prune_objects(days, now=clock)
    clock.time += timedelta(hours=25)
    Publisher(days, now=clock).publish({"1": put(days, "1", "later", 1)}, by="x")
    assert name not in prune_objects(days, now=clock, also_needed={name})
    assert name in prune_objects(days, now=clock)
    with pytest.raises(ForeactError, match=f"'{name}' of the training are gone from .*: run train again"):
        confirm_objects(days, "again", [written], now=clock)


def test_what_an_earlier_try_left_is_replaced_until_it_is_published(days):
    name = Reader(days).read_current().manifest.stores["1"].objects["forecasts"].name
    with pytest.raises(ForeactError, match="has other content"):
        put_object(days, name, table_bytes("1", 5))
    assert put_object(days, "forecasts/data/again/1.zip", b"one").size == 3
    assert put_object(days, "forecasts/data/again/1.zip", b"another").size == 7
    assert days.read("forecasts/data/again/1.zip").data == b"another"


def test_nothing_is_deleted_while_the_current_manifest_is_damaged(days, clock):
    days.write(CURRENT, b"torn")
    before = dict(days.objects)
    assert prune_objects(days, now=clock) == []
    assert days.objects == before


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400)])
def test_a_clock_that_jumps_deletes_nothing_young(days, clock, jump):
    put(days, "3", "on-its-way", 3)
    wrong = clock.time + jump
    assert not any("on-its-way" in name for name in prune_objects(days, now=lambda: wrong))


def test_nothing_is_deleted_while_a_retained_manifest_cannot_be_read(days, clock):
    days.write(manifest_name(9), b"torn")
    before = dict(days.objects)
    with pytest.raises(ForeactError, match="damaged"):
        prune_objects(days, now=clock)
    assert days.objects == before


def test_a_reader_of_an_old_version_is_told_that_it_is_gone(days, clock):
    reader = Reader(days)
    oldest, retained = reader.read_version(1), reader.read_version(8)
    prune_objects(days, now=clock)
    reader.read_object(retained.stores["1"].objects["forecasts"])
    with pytest.raises(ForeactError, match="the version that names it is not retained; read the current one"):
        reader.read_object(oldest.stores["1"].objects["forecasts"])


def test_a_clock_that_jumps_back_does_not_disturb_the_order_of_versions(days, clock):
    clock.time -= timedelta(days=300)
    publisher = Publisher(days, keep_versions=3, now=clock)
    manifest = publisher.publish({"1": put(days, "1", "r10", 10)}, by="x").manifest
    assert manifest.version == 11
    assert manifest.created_at < Reader(days).read_version(10).created_at
    assert Reader(days).read_current().manifest.stores["1"].run == "r10"


def test_a_reader_goes_on_reading_a_retained_version_while_retention_runs(make_store, clock):
    """The reader holds version 1 of two stores while others publish and prune without any grace."""
    publisher = Publisher(make_store(), keep_versions=8, now=clock)
    publisher.publish({name: put(make_store(), name, "r0", 0) for name in ("1", "2")}, by="x")
    reader = Reader(make_store())
    held = reader.read_current().manifest
    stop = threading.Event()

    def go_on() -> None:
        for number in range(1, 8):
            clock.time += timedelta(days=1)
            publisher.publish({"1": put(make_store(), "1", f"r{number}", number)}, by="x")
            prune_objects(make_store(), grace=timedelta(0))
        stop.set()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(go_on)
        while not stop.is_set() and not writing.done():
            for name, entry in held.stores.items():
                assert reader.read_object(entry.objects["forecasts"]) == table_bytes(name, 0)
        writing.result()
    # One more, and the version is no longer retained: what only it named goes, what others name stays.
    # Azure tells ages in whole seconds.
    newest = max(info.modified for info in make_store().list())
    until(lambda: datetime.now(UTC) - newest > timedelta(seconds=1))
    clock.time += timedelta(days=1)
    publisher.publish({"1": put(make_store(), "1", "r8", 8)}, by="x")
    assert prune_objects(make_store(), grace=timedelta(0)) == [held.stores["1"].objects["forecasts"].name]
    with pytest.raises(ForeactError, match="not retained"):
        reader.read_object(held.stores["1"].objects["forecasts"])
    assert reader.read_object(held.stores["2"].objects["forecasts"]) == table_bytes("2", 0)
