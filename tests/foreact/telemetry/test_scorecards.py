"""The series of live scorecards, and what counts as drift."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from foreact.blobs.folder import FolderStore
from foreact.telemetry.scorecards import SUSTAINED, Scorecards, find_drift, keep, read_series

GOOD = {"wape": 0.2, "bias": 0.02, "coverage": 0.8, "promised": 0.2}
HIGH = {"wape": 0.25, "bias": 0.3, "coverage": 0.8, "promised": 0.2}
FIRST = date(2026, 3, 1)


def write(store: FolderStore, day: int, figures: dict[str, float], run: str = "") -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day, hours=len(run))
    as_of = FIRST + timedelta(days=day)
    keep(store, Scorecards(run=run or f"r{day}", as_of=as_of, written_at=at, stores={"S/1": figures}))


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


def test_a_damaged_record_is_passed_over(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    write(store, 0, GOOD)
    store.write("telemetry/scorecards/2026-03-02/bad.json", b"nothing")
    assert len(read_series(store)["S/1"]) == 1
