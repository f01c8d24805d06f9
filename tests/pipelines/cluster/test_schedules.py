"""The schedules file: what it may say, and what would not do what it says."""

from datetime import UTC, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from foreact.errors import ForeactError
from foreact.kubeflow.package import Package
from pipelines.cluster.schedules import FILE, Schedule, check_schedule, load_schedules

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
GIVEN = {"history": "https://a.blob.core.windows.net/sales/"}


def judge(package: Package, cron: str, done_by: str | None = None, zone: ZoneInfo = BERLIN) -> None:
    schedule = Schedule.model_validate(
        {"pipeline": "retrain-all", "cron": cron, "done_by": done_by, "parameters": GIVEN}
    )
    check_schedule("nightly", schedule, zone, package, NOW)


def test_the_nightly_run_is_done_long_before_planners_look(package: Package) -> None:
    schedules = load_schedules(FILE)
    nightly = schedules.schedules["nightly"]
    assert nightly.pipeline == "retrain-all"
    assert nightly.done_by is not None
    assert nightly.done_by <= time(8, 30)
    given = nightly.model_copy(update={"parameters": GIVEN})
    cron = check_schedule("nightly", given, schedules.zone, package, NOW)
    days = {
        at.astimezone(schedules.zone).date() for at in cron.list_firings(NOW, datetime(2027, 11, 21, 4, tzinfo=UTC))
    }
    assert len(days) == 365, "once a day, those on which clocks change included"


def test_too_late_to_be_done_in_time(package: Package) -> None:
    judge(package, "0 30 4 * * *", "08:30")
    with pytest.raises(ForeactError, match=r"starts at 05:00 and takes 4:00:00, the limit, ends after 08:30"):
        judge(package, "0 0 5 * * *", "08:30")
    judge(package, "0 0 22 * * *", "08:30")


@pytest.mark.parametrize(
    ("cron", "sentence"),
    [
        ("0 30 2 * * *", "would run twice on 2027-10-31, because clocks change in Europe/Berlin"),
        ("0 0 4 31 2 *", "never fires"),
        ("0 0 4 29 2 *", "does not fire within 400 days"),
    ],
)
def test_schedules_that_would_surprise(package: Package, cron: str, sentence: str) -> None:
    with pytest.raises(ForeactError, match=sentence):
        judge(package, cron)


def test_an_hour_that_is_skipped(package: Package) -> None:
    """New York skips 02:30 in March and repeats 01:30 in November."""
    with pytest.raises(ForeactError, match="would run not at all on 2027-03-14"):
        judge(package, "0 30 2 * * *", zone=ZoneInfo("America/New_York"))
    judge(package, "0 30 2 * * *", zone=ZoneInfo("Asia/Kolkata"))


def test_what_runs_every_hour_may_run_twice_in_an_hour(package: Package) -> None:
    judge(package, "0 0 * * * *")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone: 'Mars/Olympus' is not a time zone"),
        ({"timezone": "../etc/passwd"}, "is not a time zone"),
        ({"schedules": {"Night Run": {"pipeline": "retrain-all", "cron": "0 0 4 * * *"}}}, "schedules.Night Run"),
        ({"schedules": {"n": {"pipeline": "retrain-all"}}}, "schedules.n.cron: Field required"),
        ({"schedules": {"n": {"pipeline": "p", "cron": "c", "crom": ""}}}, "schedules.n.crom: Extra inputs"),
        ({"schedules": {"n": {"pipeline": "p", "cron": "c", "description": "a [b]"}}}, "without square brackets"),
    ],
)
def test_says_what_is_wrong_with_the_file(tmp_path: Path, change: dict[str, object], sentence: str) -> None:
    file = tmp_path / "schedules.yaml"
    file.write_text(yaml.safe_dump({"timezone": "UTC", "schedules": {}} | change))
    with pytest.raises(ForeactError, match=sentence.replace("[", r"\[")):
        load_schedules(file)


def test_says_that_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ForeactError, match="cannot be read"):
        load_schedules(tmp_path / "schedules.yaml")
    (tmp_path / "schedules.yaml").write_text("a: [")
    with pytest.raises(ForeactError, match="is not YAML"):
        load_schedules(tmp_path / "schedules.yaml")
