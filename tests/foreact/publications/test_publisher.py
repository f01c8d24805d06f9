"""Versions: merged, never older, restored on purpose, told apart."""

from datetime import date, timedelta
from functools import partial

import pytest

from foreact.blobs.records import NewerRecord
from foreact.errors import ForeactError
from foreact.publications import CURRENT, BrokenPublication, Publisher, Reader, prune_objects
from foreact.publications.contract import SCHEMA_VERSION, manifest_name
from foreact.publications.lineage import describe_version, find_versions_with_model, list_changes
from foreact.publications.sealing import seal_manifest
from tests.crashing import at_once
from tests.foreact.publications.stores import START, entry, put, table_bytes


def test_a_publisher_replaces_only_its_own_stores(store):
    publisher = Publisher(store)
    first = publisher.publish({name: put(store, name, "r1", 1) for name in ("1", "2")}, by="run r1").manifest
    second = publisher.publish({"2": put(store, "2", "r2", 2)}, by="run r2").manifest
    assert (first.version, first.previous, second.version, second.previous) == (1, None, 2, 1)
    assert second.stores["1"] == first.stores["1"]
    assert second.stores["2"].run == "r2"
    assert Reader(store).read_version(1) == first
    assert Reader(store).list_versions() == [1, 2]


def test_publishing_the_same_again_makes_no_version(store):
    entries = {"1": put(store, "1", "r1", 1)}
    Publisher(store).publish(entries, by="x")
    assert Publisher(store).publish(entries, by="x").manifest.version == 1


def test_older_data_is_kept_out_and_said_so(store):
    Publisher(store).publish({"1": put(store, "1", "new", 1)}, by="x")
    older = {"1": put(store, "1", "old", 2, as_of=date(2024, 3, 30)), "2": put(store, "2", "old", 2)}
    outcome = Publisher(store).publish(older, by="y")
    assert outcome.published == ["2"]
    assert outcome.unchanged == {"1": "published data as of 2024-03-31 is newer than 2024-03-30"}
    assert outcome.manifest.stores["1"].run == "new"


class Overtaken:
    """A store on which another publisher comes first in the instant before the swap."""

    def __init__(self, store, other):
        self.store, self.others = store, [other]

    def __getattr__(self, name):
        return getattr(self.store, name)

    def write(self, name, data, **options):
        if name == CURRENT and self.others:
            self.others.pop()()
        return self.store.write(name, data, **options)


@pytest.mark.parametrize("before", [0, 1])
def test_a_publisher_that_is_overtaken_before_its_swap_merges(store, before):
    for _ in range(before):
        Publisher(store).publish({"1": put(store, "1", "r0", 0)}, by="x")
    fast, slow = {"1": put(store, "1", "r1", 1)}, {"2": put(store, "2", "r2", 2)}
    overtaken = Overtaken(store, lambda: Publisher(store).publish(fast, by="x"))
    manifest = Publisher(overtaken).publish(slow, by="y").manifest
    assert {name: each.run for name, each in manifest.stores.items()} == {"1": "r1", "2": "r2"}
    assert Reader(store).read_current().manifest == manifest
    assert Reader(store).list_versions() == list(range(1, before + 3))


def test_fifty_publishers_lose_nothing(make_store):
    """50 processes over 20 stores at once: the last write of each store is there, the versions have no gap."""
    names = [f"s{number}" for number in range(20)]
    days = {}

    def publish(number: int) -> None:
        mine = [names[number % 20], names[(number * 7 + 3) % 20]]
        store = make_store()
        # Each publisher's data is a day newer, so that which write is the last is known.
        as_of = date(2024, 1, 1) + timedelta(days=number)
        entries = {name: put(store, name, f"r{number}", number, as_of=as_of) for name in mine}
        Publisher(store).publish(entries, by=f"run r{number}")

    for number in range(50):
        for name in (names[number % 20], names[(number * 7 + 3) % 20]):
            days[name] = max(days.get(name, 0), number)
    make_store().write("begin", b"")
    at_once([partial(publish, number) for number in range(50)])
    reader = Reader(make_store())
    manifest = reader.read_current().manifest
    assert {name: each.run for name, each in manifest.stores.items()} == {n: f"r{days[n]}" for n in days}
    versions = reader.list_versions()
    assert versions == list(range(1, manifest.version + 1))
    history = list(reader.read_history())
    assert [each.previous for each in history] == [*range(manifest.version - 1, 0, -1), None]
    for name, each in manifest.stores.items():
        assert reader.read_object(each.objects["forecasts"]) == table_bytes(name, days[name])


def test_restore_is_a_version_that_says_who_and_why(store):
    publisher = Publisher(store)
    for number in (1, 2):
        as_of = date(2024, 3, 30 + number - 1)
        publisher.publish({"1": put(store, "1", f"r{number}", number, as_of=as_of)}, by=f"run r{number}")
    restored = publisher.restore(1, by="ada", reason="prices were wrong")
    assert (restored.version, restored.action, restored.restored, restored.previous) == (3, "restore", 1, 2)
    assert (restored.created_by, restored.reason) == ("ada", "prices were wrong")
    assert Reader(store).read_current().manifest.stores["1"].run == "r1"
    # A later retrain goes forward from there, though its data is older than what was rolled back.
    onward = publisher.publish({"1": put(store, "1", "r4", 4, as_of=date(2024, 3, 30))}, by="run r4")
    assert onward.manifest.version == 4
    assert onward.manifest.stores["1"].run == "r4"
    assert "restored version 1" in describe_version(Reader(store), 3)
    assert "by ada (prices were wrong)" in describe_version(Reader(store), 3)


@pytest.mark.parametrize("version", [0, 2, 3, -1])
def test_what_cannot_be_restored(store, version):
    publisher = Publisher(store)
    for number in (1, 2):
        publisher.publish({"1": put(store, "1", f"r{number}", number)}, by="x")
    with pytest.raises(ForeactError, match="restore"):
        publisher.restore(version, by="x", reason="y")
    assert Reader(store).list_versions() == [1, 2]


def test_a_store_that_has_closed_is_withdrawn_by_a_version_that_says_who_and_why(store):
    publisher = Publisher(store)
    publisher.publish({name: put(store, name, "r1", 1) for name in ("1", "2", "3")}, by="run r1")
    withdrawn = publisher.withdraw(["2"], by="ada", reason="closed for good")
    assert (withdrawn.version, withdrawn.action, sorted(withdrawn.stores)) == (2, "withdraw", ["1", "3"])
    described = describe_version(Reader(store), 2)
    assert "stores withdrawn" in described
    assert "by ada (closed for good)" in described
    assert "2: gone" in described
    with pytest.raises(ForeactError, match="Nothing is published of '2'"):
        publisher.withdraw(["1", "2"], by="x", reason="y")
    with pytest.raises(ForeactError, match="none would be left"):
        publisher.withdraw(["1", "3"], by="x", reason="y")
    # What was withdrawn can be undone, and comes back by itself where it sells again.
    assert sorted(publisher.restore(1, by="ada", reason="it has not").stores) == ["1", "2", "3"]
    publisher.withdraw(["2", "3"], by="ada", reason="closed")
    assert sorted(publisher.publish({"2": put(store, "2", "r9", 9)}, by="run r9").manifest.stores) == ["1", "2"]


def test_a_version_that_has_lost_an_object_is_not_restored(store):
    publisher = Publisher(store)
    lost = put(store, "1", "r1", 1)
    publisher.publish({"1": lost}, by="x")
    publisher.publish({"1": put(store, "1", "r2", 2)}, by="x")
    store.delete(lost.objects["forecasts"].name)
    with pytest.raises(ForeactError, match="are gone"):
        publisher.restore(1, by="x", reason="y")


def test_nothing_published_yet(store):
    assert Reader(store).find_current() is None
    with pytest.raises(ForeactError, match="Nothing is published"):
        Reader(store).read_current()
    with pytest.raises(ForeactError, match="Nothing is published"):
        Publisher(store).restore(1, by="x", reason="y")
    assert prune_objects(store) == []


def test_a_poll_costs_one_small_read(store):
    Publisher(store).publish({"1": put(store, "1", "r1", 1)}, by="x")
    reader = Reader(store)
    first = reader.find_current()
    assert reader.find_current(first) == first
    Publisher(store).publish({"1": put(store, "1", "r2", 2)}, by="x")
    assert reader.find_current(first).manifest.version == 2


@pytest.mark.parametrize(
    "damage", [lambda d: d[: len(d) // 2], lambda d: b"", lambda d: d.replace(b"hash-1", b"hash-2"), lambda d: d + b"}"]
)
def test_a_damaged_manifest_keeps_the_last_good_one_and_says_so(store, damage):
    publisher = Publisher(store)
    publisher.publish({"1": put(store, "1", "r1", 1)}, by="x")
    publisher.publish({"1": put(store, "1", "r2", 2)}, by="x")
    reader = Reader(store)
    held = reader.find_current()
    store.write(CURRENT, damage(store.read(CURRENT).data))
    for publication in (reader.find_current(held), reader.find_current()):
        assert publication.manifest == held.manifest
        assert "damaged" in publication.problem
        assert "Version 2 is kept" in publication.problem
    assert prune_objects(store) == []
    # The next publisher goes on from the last good version.
    mended = Publisher(store).publish({"2": put(store, "2", "r3", 3)}, by="x").manifest
    assert (mended.version, set(mended.stores)) == (3, {"1", "2"})
    assert reader.find_current(held).problem == ""


def test_a_lost_manifest_is_found_in_the_archive(store):
    Publisher(store).publish({"1": put(store, "1", "r1", 1)}, by="x")
    held = Reader(store).find_current()
    store.delete(CURRENT)
    assert f"{CURRENT} is gone from" in Reader(store).find_current().problem
    assert "Version 1 is kept" in Reader(store).find_current().problem
    assert "Version 1 is kept" in Reader(store).find_current(held).problem
    assert Publisher(store).publish({"1": put(store, "1", "r2", 2)}, by="x").manifest.version == 2


def test_a_manifest_of_later_software_is_left_alone(store):
    manifest = Publisher(store).publish({"1": put(store, "1", "r1", 1)}, by="x").manifest
    future = seal_manifest(manifest.model_copy(update={"schema_version": 99, "version": 2}))
    # Also where it looks like one of today.
    for data in (_with_new_field(future), future):
        store.write(CURRENT, data)
        with pytest.raises(NewerRecord, match=f"schema version 99 and this software knows {SCHEMA_VERSION}"):
            Publisher(store).publish({"1": put(store, "1", "r2", 2)}, by="x")
        assert store.read(CURRENT).data == data
        assert "schema version 99" in Reader(store).find_current().problem
    # Nor is one that its own archive alone still has.
    store.write(manifest_name(2), future)
    store.delete(CURRENT)
    with pytest.raises(NewerRecord, match=manifest_name(2)):
        Publisher(store).publish({"1": put(store, "1", "r2", 2)}, by="x")
    assert Reader(store).find_current().manifest.version == 1


def test_a_clock_that_is_set_back_is_told(store, caplog):
    Publisher(store, now=lambda: START).publish({"1": put(store, "1", "r1", 1)}, by="x")
    Publisher(store, now=lambda: START).publish({"1": put(store, "1", "r2", 2)}, by="x")
    assert "set back" not in caplog.text
    Publisher(store, now=lambda: START - timedelta(days=1)).publish({"1": put(store, "1", "r3", 3)}, by="x")
    assert "but version 2 was made at 2024-04-01 06:00:00+00:00: it is set back" in caplog.text


def _with_new_field(data: bytes) -> bytes:
    import hashlib

    body = data[len(b'{"sha256":"') + 64 + len(b'","manifest":') : -2].replace(b'{"schema', b'{"new":1,"schema', 1)
    return b'{"sha256":"%s","manifest":%s}\n' % (hashlib.sha256(body).hexdigest().encode(), body)


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: b"", lambda d: d[:10] + b"x" + d[11:]])
def test_a_damaged_object_is_refused(store, damage):
    published = put(store, "1", "r1", 1).objects["forecasts"]
    reader = Reader(store)
    assert reader.read_table(published).to_pydict() == {"store": ["1"], "mean": [1]}
    store.write(published.name, damage(table_bytes("1", 1)))
    with pytest.raises(BrokenPublication, match="is damaged"):
        reader.read_object(published)


def test_lineage_runs_both_ways(store):
    publisher = Publisher(store, now=lambda: START)
    publisher.publish({"1": put(store, "1", "r1", 1), "2": put(store, "2", "r1", 1)}, by="run r1")
    publisher.publish({"1": put(store, "1", "r2", 2, version="2")}, by="run r2")
    publisher.publish({"3": put(store, "3", "r3", 3)}, by="run r3")
    reader = Reader(store)
    assert [each.version for each in find_versions_with_model(reader, "foreact-1", "1")] == [1]
    assert [each.version for each in find_versions_with_model(reader, "foreact-1", "2")] == [3, 2]
    assert [each.version for each in find_versions_with_model(reader, "foreact-2", "1")] == [3, 2, 1]
    told = describe_version(reader, 2)
    assert "Version 2: published on 2024-04-01 06:00 UTC by run r2, 2 stores" in told
    assert "1: model foreact-1 version 2, run r2, data as of 2024-03-31 (hash-1-2), 1 day ahead, code abc" in told
    assert "Changed since version 1:" in told
    assert "1: model foreact-1 version 1 -> foreact-1 version 2, run r1 -> r2, data hash-1-1 -> hash-1-2" in told
    assert [str(change) for change in list_changes(reader.read_version(2), reader.read_version(3))] == ["new"]
    assert "The first version." in describe_version(reader, 1)
    with pytest.raises(ForeactError, match=r"There is no version 9 in .*: the newest is 3"):
        describe_version(reader, 9)


def test_a_version_is_shown_though_the_one_before_is_damaged(store):
    for number in (1, 2):
        Publisher(store).publish({"1": put(store, "1", f"r{number}", number)}, by="x")
    store.write(manifest_name(1), b"torn")
    told = describe_version(Reader(store), 2)
    assert "1: model foreact-1 version 1, run r2" in told
    assert told.endswith(
        "What changed since version 1 is unknown: "
        "forecasts/manifests/00000001.json is damaged: its 4 bytes do not match their checksum."
    )


def test_a_crash_before_the_archive_is_made_good_by_the_next(store):
    Publisher(store).publish({"1": put(store, "1", "r1", 1)}, by="x")
    store.delete(manifest_name(1))
    assert Reader(store).read_version(1).version == 1
    Publisher(store).publish({"1": put(store, "1", "r2", 2)}, by="x")
    assert Reader(store).list_versions() == [1, 2]
    assert Reader(store).read_version(1).stores["1"] == entry("1", "r1", 1)
    store.delete(manifest_name(1))
    with pytest.raises(ForeactError, match=rf"The manifest of version 1, {manifest_name(1)}, is gone from"):
        Reader(store).read_version(1)
