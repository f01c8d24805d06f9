"""The series of live scorecards, and what counts as drift."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from foreact.blobs.folder import FolderStore
from foreact.blobs.protocol import Blob
from foreact.telemetry.scorecards import (
    DAYS_READ,
    SUSTAINED,
    Scorecards,
    find_drift,
    find_out_of_bounds,
    read_series,
    watch_drift,
    write_scorecards,
)

GOOD = {"wape": 0.2, "bias": 0.02, "coverage": 0.8, "promised": 0.2}
HIGH = {"wape": 0.25, "bias": 0.3, "coverage": 0.8, "promised": 0.2}
FIRST = date(2026, 3, 1)


def write(store: FolderStore, day: int, figures: dict[str, float], run: str = "", of: str = "S/1") -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day, hours=len(run))
    as_of = FIRST + timedelta(days=day)
    write_scorecards(store, Scorecards(run=run or f"r{day}", as_of=as_of, written_at=at, stores={of: figures}))


def test_a_series_has_a_point_a_day_of_data_and_the_last_run_of_a_day_counts(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    write(store, 1, GOOD)
    write(store, 0, GOOD)
    write(store, 1, HIGH, run="later")
    write(store, 1, GOOD, run="later")
    assert [(point.as_of, point.figures["bias"]) for point in read_series(store)["S/1"]] == [
        (FIRST, 0.02),
        (FIRST + timedelta(days=1), 0.3),
    ]


def test_only_what_lasts_is_drift(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    write(store, 0, GOOD)
    for day in range(1, SUSTAINED):
        write(store, day, HIGH)
    assert find_drift(read_series(store)) == []
    write(store, SUSTAINED, HIGH)
    [drift] = find_drift(read_series(store))
    assert (drift.store, drift.figure, drift.days) == ("S/1", "bias", SUSTAINED)
    write(store, SUSTAINED + 1, GOOD)
    assert find_drift(read_series(store)) == []


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"bias": 0.15, "coverage": 0.65, "wape": 0.3}, set()),
        ({"bias": -0.16}, {"bias"}),
        ({"coverage": 0.64}, {"coverage"}),
        ({"coverage": 0.96}, {"coverage"}),
        ({"wape": 0.31}, {"wape"}),
        ({"wape": 0.31, "promised": 0.0}, set()),
    ],
)
def test_figures_have_bounds(changed: dict[str, float], wrong: set[str]) -> None:
    assert find_out_of_bounds({**GOOD, **changed}) == wrong


def test_many_refreshes_of_one_store_hide_nothing_of_the_others(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for day in range(SUSTAINED):
        write(store, day, HIGH)
    for number in range(DAYS_READ):
        write(store, SUSTAINED - 1, GOOD, run=f"refresh-{number}", of="S/2")
    assert [drift.store for drift in find_drift(read_series(store))] == ["S/1"]


def test_only_the_latest_days_of_data_are_looked_at(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for day in range(DAYS_READ + 2):
        write(store, day, GOOD)
    series = read_series(store)["S/1"]
    assert (len(series), series[0].as_of) == (DAYS_READ, FIRST + timedelta(days=2))


def test_whoever_watches_reads_a_record_once(tmp_path: Path) -> None:
    read = []

    class Counting(FolderStore):
        def read(self, name: str) -> Blob:
            read.append(name)
            return super().read(name)

    store = Counting(tmp_path)
    look = watch_drift(store)
    assert look() == ({}, [])
    for day in range(SUSTAINED):
        write(store, day, HIGH)
        series, drift = look()
        assert series == read_series(FolderStore(tmp_path))
    assert [each.figure for each in drift] == ["bias"]
    assert look() == (series, drift)
    assert len(read) == len(set(read)) == SUSTAINED


def test_a_damaged_record_is_passed_over(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    write(store, 0, GOOD)
    store.write("telemetry/scorecards/2026-03-02/bad.json", b"nothing")
    assert len(read_series(store)["S/1"]) == 1
