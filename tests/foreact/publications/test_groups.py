"""Manifests of many stores: what one store costs, and what damage and age of groups do."""

from datetime import UTC, datetime, timedelta

import pytest

from foreact.blobs.folder import FolderStore
from foreact.errors import ForeactError
from foreact.publications import (
    CURRENT,
    BrokenPublication,
    PublishedModel,
    Publisher,
    Reader,
    prune_archive,
    prune_objects,
)
from foreact.publications.contract import GROUPS, INLINE_SCHEMA, MANIFESTS, SCHEMA_VERSION, manifest_name
from foreact.publications.groups import INLINE_MOST, count_groups, number_group, pick_stores
from foreact.publications.lineage import describe_version
from foreact.publications.sealing import seal_manifest
from tests.foreact.publications.stores import MemoryStore, entry, put
from tests.foreact.publications.test_publisher import Overtaken

NAMES = [f"S{number:03d}" for number in range(200)]
NIGHT = datetime(2024, 1, 1, 5, tzinfo=UTC)


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.time = NIGHT

    def __call__(self):
        return self.time


class Counting:
    """Notes what is read and written."""

    def __init__(self, store):
        self.store, self.read_names, self.written = store, [], []

    def __getattr__(self, name):
        return getattr(self.store, name)

    def read(self, name):
        self.read_names.append(name)
        return self.store.read(name)

    def write(self, name, data, **options):
        self.written.append(name)
        return self.store.write(name, data, **options)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def chain(clock):
    """A night of two hundred stores."""
    store = MemoryStore(now=clock)
    Publisher(store, now=clock).publish({name: put(store, name, "r1", 1) for name in NAMES}, by="run r1")
    return store


def refresh(store, name, run, value=2.0, **options):
    return Publisher(store, **options).publish({name: put(store, name, run, value)}, by=f"run {run}").manifest


def group_of(store, name):
    manifest = Reader(store).read_current().manifest
    return manifest.groups[number_group(name, len(manifest.groups))]


def list_groups(store):
    return {info.name for info in store.list(GROUPS)}


def test_a_manifest_of_few_stores_has_them_itself_and_one_of_many_names_groups(store):
    publisher = Publisher(store)
    few = {name: put(store, name, "r1", 1) for name in NAMES[:INLINE_MOST]}
    inline = publisher.publish(few, by="x").manifest
    assert (inline.schema_version, inline.stores, inline.groups) == (INLINE_SCHEMA, few, ())
    assert b'"groups"' not in store.read(CURRENT).data
    more = publisher.publish({"one more": put(store, "one more", "r2", 2)}, by="x").manifest
    assert (more.schema_version, len(more.groups)) == (SCHEMA_VERSION, count_groups(INLINE_MOST + 1))
    assert b'"stores"' not in store.read(CURRENT).data
    for read in (Reader(store).read_current().manifest, Reader(store).read_version(2)):
        assert len(read.stores) == INLINE_MOST + 1
        assert read.stores == {**few, "one more": entry("one more", "r2", 2)}
        assert read == more
    assert "one more: new" in describe_version(Reader(store), 2)
    assert publisher.withdraw(["one more"], by="x", reason="y").stores == few
    assert publisher.restore(2, by="x", reason="y").stores == more.stores
    assert publisher.restore(1, by="x", reason="y").schema_version == INLINE_SCHEMA


def test_one_store_reads_and_writes_its_group(chain):
    counting = Counting(chain)
    manifest = refresh(counting, "S007", "r2")
    groups = [name for name in counting.read_names if name.startswith(GROUPS)]
    assert groups == [Reader(chain).read_version(1).groups[number_group("S007", len(manifest.groups))].name]
    assert [name for name in counting.written if name.startswith(GROUPS)] == [group_of(chain, "S007").name]
    assert len(list_groups(chain)) == len(manifest.groups) + 1
    counting = Counting(chain)
    manifest = Reader(counting).read_current().manifest
    assert (manifest.stores["S007"].run, len(manifest.stores)) == ("r2", 200)
    assert counting.read_names == [CURRENT, group_of(chain, "S007").name]
    assert pick_stores(manifest.stores, ["S007", "unknown"]) == {"S007": manifest.stores["S007"]}


def test_who_reads_all_stores_reads_a_group_again_only_when_it_changed(chain):
    reader = Reader(Counting(chain))
    first = reader.read_current().manifest
    assert {each.run for each in first.stores.values()} == {"r1"}
    reader.store.read_names.clear()
    refresh(chain, "S007", "r2")
    second = reader.read_current().manifest
    assert [name for name, each in second.stores.items() if each.run == "r2"] == ["S007"]
    assert reader.store.read_names == [group_of(chain, "S007").name]
    reader.store.read_names.clear()
    assert sum(len(each.stores) for each in reader.read_history()) == 400
    assert reader.store.read_names == [manifest_name(1)]


def test_the_size_of_what_one_store_reads_grows_with_the_root_of_the_chain():
    sizes = {}
    for count in (100, 1600):
        store = MemoryStore()
        Publisher(store).publish({f"S{number}": entry(f"S{number}", "r1", 1) for number in range(count)}, by="x")
        sizes[count] = [len(store.read(name).data) for name in (CURRENT, group_of(store, "S7").name)]
    for few, many in zip(sizes[100], sizes[1600], strict=True):
        assert many < 8 * few


def test_a_publisher_that_is_overtaken_merges_and_writes_what_changed_again(chain):
    counting = Counting(chain)
    other = next(name for name in NAMES if group_of(chain, name) == group_of(chain, "S007") and name != "S007")
    overtaken = Overtaken(counting, lambda: refresh(chain, other, "r2"))
    manifest = refresh(overtaken, "S007", "r3")
    assert {name: manifest.stores[name].run for name in (other, "S007", "S001")} == {
        other: "r2",
        "S007": "r3",
        "S001": "r1",
    }
    assert manifest.version == 3
    assert len([name for name in counting.written if name.startswith(GROUPS)]) == 2


def test_the_chains_model_is_known_without_reading_groups(clock):
    store = MemoryStore(now=clock)
    models = {run: PublishedModel(name="foreact.chain", version="1", run=run) for run in ("r1", "r2")}

    def make(name, run):
        return put(store, name, run, 1).model_copy(update={"chain": models.get(run)})

    publisher = Publisher(store, now=clock)
    publisher.publish({name: make(name, "r1") for name in NAMES[:50]}, by="x")
    publisher.publish({name: make(name, "without") for name in NAMES[50:]}, by="x")
    counting = Counting(store)
    assert Reader(counting).read_current().manifest.find_chain() == models["r1"]
    assert counting.read_names == [CURRENT]
    assert publisher.publish({"S001": make("S001", "r2")}, by="x").manifest.find_chain() == models["r2"]
    assert publisher.restore(2, by="x", reason="y").find_chain() == models["r1"]
    assert publisher.withdraw(["S001"], by="x", reason="y").find_chain() == models["r1"]


@pytest.mark.parametrize("damage", ["torn", "gone"])
def test_a_damaged_group_holds_back_its_stores_and_no_others(chain, clock, caplog, damage):
    before = group_of(chain, "S007")
    refresh(chain, "S007", "r2")
    broken = group_of(chain, "S007")
    chain.write(broken.name, b"torn") if damage == "torn" else chain.delete(broken.name)
    stores = Reader(chain).read_current().manifest.stores
    held = {name for name, each in stores.items() if each.held}
    assert broken.name in caplog.text
    assert held == {name for name in NAMES if number_group(name, 32) == number_group("S007", 32)}
    assert (len(held), stores["S007"].run) == (before.count, "r1")
    # Nobody deletes by it, nobody restores it.
    with pytest.raises(BrokenPublication):
        list(Reader(chain, mends=False).read_current().manifest.stores)
    # The next publication of one of its stores makes it whole, and the others stay marked until theirs.
    clock.time += timedelta(hours=1)
    manifest = refresh(chain, "S007", "r3", now=clock)
    assert (manifest.stores["S007"].run, manifest.stores["S007"].held) == ("r3", None)
    assert {name for name, each in Reader(chain, mends=False).read_current().manifest.stores.items() if each.held} == (
        held - {"S007"}
    )
    with pytest.raises(BrokenPublication):
        Publisher(chain, now=clock).restore(2, by="x", reason="y")
    with pytest.raises(ForeactError):
        prune_objects(chain, now=lambda: clock.time + timedelta(days=90))


def test_stores_of_a_damaged_group_that_no_version_has_whole_come_back_with_the_next_night(chain):
    chain.write(group_of(chain, "S007").name, b"torn")
    stores = Reader(chain).read_current().manifest.stores
    assert "S007" not in stores
    night = {name: put(chain, name, "r2", 2) for name in NAMES}
    manifest = Publisher(chain).publish(night, by="run r2").manifest
    assert {each.run for each in Reader(chain, mends=False).read_current().manifest.stores.values()} == {"r2"}
    assert len(manifest.stores) == 200


def test_what_was_torn_on_its_way_is_read_again(chain):
    class Tearing(Counting):
        def read(self, name):
            blob = super().read(name)
            return type(blob)(b"", blob.etag) if self.read_names.count(name) == 1 and "groups" in name else blob

    assert Reader(Tearing(chain), mends=False).read_current().manifest.stores["S007"].run == "r1"


def test_groups_go_with_the_last_manifest_that_names_them(chain, clock):
    named = {}
    for day in range(2, 12):
        clock.time += timedelta(days=1)
        manifest = refresh(chain, "S007", f"r{day}", day, now=clock, keep_versions=2)
        named[day] = {group.name for group in manifest.groups}
    orphan = f"{GROUPS}{'0' * 64}.json"
    chain.write(orphan, b"{}")
    # Whoever wrote it may be about to name it.
    deleted = prune_archive(chain, keep=timedelta(days=4), now=clock)
    assert orphan not in deleted
    assert [name for name in deleted if name.startswith(MANIFESTS)] == [manifest_name(day) for day in range(1, 7)]
    # Those of versions whose manifests stay are there, and those that only a deleted one named go a day later.
    assert list_groups(chain) >= set().union(*(named[day] for day in range(7, 12)))
    assert len([name for name in deleted if name.startswith(GROUPS)]) == 5
    for version in Reader(chain).list_versions():
        assert len(dict(Reader(chain, mends=False).read_version(version).stores)) == 200
    clock.time += timedelta(days=10)
    refresh(chain, "S007", "last", 99, now=clock, keep_versions=2)
    prune_archive(chain, keep=timedelta(days=4), now=clock)
    current = Reader(chain).read_current().manifest
    retained = [Reader(chain).read_version(number) for number in current.list_retained()]
    assert orphan not in list_groups(chain)
    assert list_groups(chain) == {group.name for manifest in [current, *retained] for group in manifest.groups}


def test_what_a_restore_brings_back_is_young_again(chain, clock):
    clock.time += timedelta(days=1)
    first = Reader(chain).read_version(1)
    refresh(chain, "S007", "r2", now=clock)
    clock.time += timedelta(days=20)
    Publisher(chain, now=clock).restore(1, by="x", reason="y")
    lost = set(first.groups) - set(Reader(chain).read_version(2).groups)
    assert {chain.objects[group.name][2] for group in lost} == {clock.time}


def test_pruning_reads_the_groups_of_the_oldest_version_alone(chain, clock):
    for night in range(2, 6):
        clock.time += timedelta(days=1)
        entries = {name: put(chain, name, f"r{night}", night) for name in NAMES}
        Publisher(chain, keep_versions=3, now=clock).publish(entries, by="x")
    clock.time += timedelta(days=2)
    counting = Counting(chain)
    deleted = prune_objects(counting, now=clock)
    assert len(deleted) == 2 * 200
    groups = {name for name in counting.read_names if name.startswith(GROUPS)}
    assert groups == {group.name for group in Reader(chain).read_version(3).groups}


def test_a_manifest_of_many_stores_that_has_them_itself_is_read_restored_and_gone_on_from(clock):
    store = MemoryStore(now=clock)
    few = Publisher(store, now=clock).publish({name: put(store, name, "r1", 1) for name in NAMES[:9]}, by="x").manifest
    stores = {name: put(store, name, "r1", 1) for name in NAMES}
    sealed = seal_manifest(few.model_copy(update={"stores": stores}))
    store.write(CURRENT, sealed)
    store.delete(manifest_name(1))
    assert Reader(store).read_current().manifest.stores == stores
    manifest = refresh(store, "S007", "r2", now=clock)
    assert (manifest.schema_version, len(manifest.stores)) == (SCHEMA_VERSION, 200)
    assert store.read(manifest_name(1)).data == sealed
    restored = Publisher(store, now=clock).restore(1, by="x", reason="y")
    # The release that wrote it can read it.
    assert (restored.schema_version, restored.stores, restored.groups) == (INLINE_SCHEMA, stores, ())


def test_a_folder_keeps_groups_too(tmp_path):
    store = FolderStore(tmp_path)
    Publisher(store).publish({name: entry(name, "r1", 1) for name in NAMES}, by="x")
    assert Reader(FolderStore(tmp_path)).read_current().manifest.stores["S199"] == entry("S199", "r1", 1)
