"""Which datasets are found again, which are kept, and what is deleted."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from foreact.blobs import BlobPlace, BlobStore
from foreact.data.dataset.kept import GRACE, MANIFEST, KeptDataset, KeptDatasets, keep_dataset, prune_datasets
from foreact.data.dataset.parts import FOLDER, read_object, write_object
from foreact.data.dataset.stored import REJECTED, Dataset
from foreact.errors import ForeactError
from tests.shops import TODAY, days, take_in, write_rows

NOW = datetime.now(UTC)
Take = Callable[..., Dataset]


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobPlace(tmp_path).connect()


@pytest.fixture
def take(tmp_path: Path) -> Take:
    """Take in two stores, with more rows if asked for."""
    usual = [(day, store, item, 5) for day in days(40) for store in "AB" for item in "xy"]
    path = tmp_path / "sales.csv"

    def run(*, rows: Sequence[tuple[Any, ...]] = (), **options: Any) -> Dataset:
        before, lines = path.read_bytes() if path.exists() else b"", [*usual, *rows]
        if write_rows(tmp_path / "new.csv", lines).read_bytes() != before:
            write_rows(path, lines)
        return take_in(tmp_path, path, **options)

    return run


def count_readings(folder: Path) -> tuple[int, int]:
    """Return how many datasets were taken as they were, and how many were asked for."""
    told = (folder / "events").read_text()
    return told.count("nothing is read again"), told.count('"succeeded"')


def list_kept(blobs: BlobStore) -> list[KeptDataset]:
    return KeptDatasets.model_validate_json(blobs.read(MANIFEST).data).datasets


def test_what_has_not_changed_is_not_read_again(take: Take, tmp_path: Path) -> None:
    first, second = take(), take()
    assert count_readings(tmp_path) == (1, 2)
    assert second.info == first.info
    for store in first.stores:
        assert second.pack_store(store) == first.pack_store(store)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": [(days(1)[0], "C", "x", 5)]},
        {"full": True},
        {"missing": "zero"},
        {"horizon": 8},
        {"code_version": "another"},
    ],
)
def test_what_has_changed_is_read(take: Take, tmp_path: Path, change: dict[str, Any]) -> None:
    take()
    take(**change)
    assert count_readings(tmp_path) == (0, 2)


def test_one_store_is_taken_from_the_dataset_of_all(take: Take, tmp_path: Path) -> None:
    rows = [(days(40)[0], "A", "x", "many"), ("some day", "A", "x", 5), ("some day", "B", "x", 5)]
    take(rows=rows)
    taken = take(rows=rows, store="A")
    assert count_readings(tmp_path) == (1, 2)
    alone = take(rows=rows, store="A", full=True)
    # The rows that were left out are the same in another writer's bytes.
    assert taken.read_rejected().to_pylist() == alone.read_rejected().to_pylist()
    parts = {**taken.info.parts, REJECTED: alone.info.parts[REJECTED]}
    assert taken.info.model_copy(update={"parts": parts}) == alone.info
    assert (taken.info.rows_read, sum(taken.info.rejected.values())) == (82, 2)
    assert {row["store"] for row in taken.read_rejected().to_pylist()} == {"A"}
    with pytest.raises(ForeactError, match="has no store 'Z'"):
        take(rows=rows, store="Z")


@pytest.mark.parametrize("way", [{"as_of": str(days(4)[0])}, {"spacing": "weekly", "horizon": 1}])
def test_one_store_is_read_alone_where_the_rows_of_all_do_not_tell(
    take: Take, tmp_path: Path, way: dict[str, Any]
) -> None:
    take(**way)
    take(**way, store="A")
    assert count_readings(tmp_path) == (0, 2)


def test_code_that_is_being_worked_on_reads_anew(take: Take, tmp_path: Path) -> None:
    take(code_version="abc-dirty")
    take(code_version="abc-dirty")
    assert count_readings(tmp_path) == (0, 2)


def test_read_anew_its_parts_are_the_same(take: Take) -> None:
    first, second = take(), take(full=True)
    assert second.info == first.info


def test_one_that_lost_an_object_is_made_anew(take: Take, tmp_path: Path, blobs: BlobStore) -> None:
    first = take()
    lost = first.info.parts["items/A.parquet"]
    blobs.delete(lost)
    with pytest.raises(ForeactError, match=r"no longer in .*: its dataset is not kept any more"):
        first.pack_store("A")
    assert take().pack_store("A")
    assert count_readings(tmp_path) == (0, 2)


def test_one_store_is_taken_if_its_own_objects_are_there(take: Take, tmp_path: Path, blobs: BlobStore) -> None:
    rows = [(day, "C", "x", 7) for day in days(40)]
    whole = take(rows=rows)
    blobs.delete(*whole.list_slices("C"))
    taken = take(rows=rows, store="A")
    assert count_readings(tmp_path) == (1, 2)
    assert taken.pack_store("A") == whole.pack_store("A")
    blobs.delete(*whole.list_slices("A"))
    assert take(rows=rows, store="A").pack_store("A") == whole.pack_store("A")
    assert count_readings(tmp_path) == (1, 3)


def test_a_damaged_part_is_named(take: Take, blobs: BlobStore) -> None:
    dataset = take()
    blobs.write(dataset.list_slices("A")[0], b"spoilt")
    with pytest.raises(ForeactError, match="is damaged: read the sales anew, with --full"):
        dataset.pack_store("A")


def keep(blobs: BlobStore, name: str, age: timedelta, store: str = "") -> None:
    keep_dataset(blobs, KeptDataset(record=name, key=name, store=store, used_at=NOW - age))


def test_a_dataset_leaves_the_list_when_no_run_can_need_it(blobs: BlobStore) -> None:
    keep(blobs, "old night", GRACE * 3)
    keep(blobs, "last night", GRACE * 2)
    keep(blobs, "old refresh", GRACE * 1.5, store="A")
    keep(blobs, "refresh", timedelta(), store="A")
    assert [each.record for each in list_kept(blobs)] == ["last night", "refresh"]


def test_runs_at_once_lose_nothing_of_each_other(blobs: BlobStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: keep(blobs, f"run {number}", timedelta()), range(24)))
    assert {each.record for each in list_kept(blobs)} == {f"run {number}" for number in range(24)}


def age(blobs: BlobStore, names: set[str], by: timedelta) -> dict[str, str]:
    """Move objects to the folder of an earlier day; return their new names."""
    moved = {}
    for name in names:
        day, _, checksum = name.removeprefix(FOLDER).partition("/")
        moved[name] = f"{FOLDER}{datetime.fromisoformat(day).date() - by}/{checksum}"
        blobs.write(moved[name], blobs.read(name).data)
        blobs.delete(name)
    return moved


def test_what_no_kept_dataset_needs_is_deleted_once_it_is_old(take: Take, blobs: BlobStore) -> None:
    dataset = take()
    parts = age(blobs, set(dataset.info.parts.values()), GRACE * 3)
    info = dataset.info.model_copy(update={"parts": {name: parts[part] for name, part in dataset.info.parts.items()}})
    kept = Dataset(info, dataset.place).write_record()
    keep(blobs, kept, timedelta())
    [lost] = age(blobs, {write_object(blobs, b"of a night gone by")}, GRACE * 2).values()
    young = write_object(blobs, b"of a run under way")
    [yesterday] = age(blobs, {write_object(blobs, b"of the run before")}, GRACE / 2).values()

    deleted = set(prune_datasets(blobs))

    assert lost in deleted
    assert not deleted & {*parts.values(), kept, young, yesterday}
    assert read_object(blobs, young)
    assert Dataset.open(kept, dataset.place).pack_store("A") == Dataset(info, dataset.place).pack_store("A")


def test_parts_of_old_days_that_a_night_names_again_stay(tmp_path: Path, blobs: BlobStore) -> None:
    files = tmp_path / "sales"
    files.mkdir()
    write_rows(files / "1.csv", [(day, store, "x", 5) for day in days(200) for store in "AB"])
    first = take_in(tmp_path, files)
    parts = age(blobs, set(first.info.parts.values()), GRACE * 3)
    info = first.info.model_copy(update={"parts": {name: parts[part] for name, part in first.info.parts.items()}})
    [kept] = list_kept(blobs)
    keep_dataset(blobs, kept.model_copy(update={"record": Dataset(info, first.place).write_record()}))
    write_rows(files / "2.csv", [(TODAY, "A", "x", 5)])

    night = take_in(tmp_path, files)

    assert "1 of 2 files of the history are new" in (tmp_path / "events").read_text()
    named = {name for name, part in night.info.parts.items() if part in parts.values()}
    assert {"stores/A/2024.parquet", "stores/B/2025-q1.parquet"} <= named
    # Two days later the dataset that had them first is no longer kept.
    listed = [each for each in list_kept(blobs) if each.record != kept.record][-1:]
    blobs.write(MANIFEST, KeptDatasets(datasets=listed).model_dump_json().encode())
    prune_datasets(blobs)
    assert all(night.pack_store(store) for store in night.stores)


def test_a_clock_that_was_ahead_deletes_nothing_young(blobs: BlobStore) -> None:
    keep(blobs, write_object(blobs, b'{"as_of": "2025-03-31", "horizon": 7, "missing": "auto"}'), timedelta())
    young = write_object(blobs, b"of a run under way")
    age(blobs, {write_object(blobs, b"of a clock ahead")}, -GRACE * 9)
    assert prune_datasets(blobs) == []
    assert read_object(blobs, young)


def test_nothing_is_deleted_while_a_record_cannot_be_read(blobs: BlobStore) -> None:
    keep(blobs, f"{FOLDER}2020-01-01/gone", timedelta())
    age(blobs, {write_object(blobs, b"of a night gone by")}, GRACE * 2)
    assert prune_datasets(blobs) == []
