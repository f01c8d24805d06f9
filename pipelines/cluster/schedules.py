"""schedules.yaml: which pipeline runs when, read and checked."""

import hashlib
import json
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from foreact.errors import ForeactError
from foreact.kubeflow.package import Package
from pipelines.cluster.cron import Cron

FILE = Path(__file__).resolve().parent.parent / "schedules.yaml"
LOOK_AHEAD = timedelta(days=400)
# A schedule that fires in this many hours of the day may run once more or less when clocks change.
MANY_HOURS = 12

# Kubeflow Pipelines stores descriptions in a column of 191 characters on some databases; the mark has to fit too.
LONGEST_DESCRIPTION = 120
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?$")]


class Schedule(BaseModel):
    """One pipeline that runs on a schedule."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = Field("", max_length=LONGEST_DESCRIPTION, description="What it is for, in one line")
    pipeline: str = Field(description="The pipeline's name")
    cron: str = Field(description="When: six fields, seconds first")
    done_by: time | None = Field(None, description="Time of day by which even the longest run has ended")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Parameters of the pipeline")
    enabled: bool = Field(True, description="false: there, but paused")

    @field_validator("description")
    @classmethod
    def _check_one_line(cls, text: str) -> str:
        if "[" in text or "\n" in text:
            raise ValueError("has to be one line without square brackets")
        return text


class Schedules(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timezone: str
    schedules: dict[Name, Schedule]

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{name!r} is not a time zone: write it as Europe/Berlin") from None
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of all expressions."""
        return ZoneInfo(self.timezone)


def load_schedules(path: Path) -> Schedules:
    """Read a schedules file."""
    try:
        return Schedules.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ForeactError(f"The schedules {path} cannot be read: {error.strerror}.") from None
    except yaml.YAMLError as error:
        raise ForeactError(f"{path} is not YAML: {str(error).splitlines()[0]}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part != "[key]")
        raise ForeactError(f"{path}, {place}: {first['msg'].removeprefix('Value error, ')}.") from None


def check_schedule(name: str, schedule: Schedule, zone: ZoneInfo, package: Package, now: datetime) -> Cron:
    """Raise if a schedule would not do what it says; return its parsed expression."""
    package.check_parameters(schedule.parameters)
    cron = Cron.parse(schedule.cron, zone)
    if cron.next_firing(now) > now + LOOK_AHEAD:
        raise ForeactError(f"Schedule {name!r} does not fire within {LOOK_AHEAD.days} days: {schedule.cron}.")
    if len(cron.fields[2]) < MANY_HOURS:
        firings = cron.list_firings(now, now + LOOK_AHEAD)
        _refuse_changing_clocks(name, cron, firings)
        if schedule.done_by is not None:
            _refuse_late_end(name, cron.zone, firings, schedule.done_by, timedelta(seconds=_read_deadline(package)))
    return cron


def _refuse_late_end(name: str, zone: ZoneInfo, firings: list[datetime], done_by: time, longest: timedelta) -> None:
    for firing in firings:
        start = firing.astimezone(zone)
        due = datetime.combine(start.date(), done_by, tzinfo=zone)
        due = due if due > start else due + timedelta(days=1)
        if firing + longest > due.astimezone(UTC):
            raise ForeactError(
                f"Schedule {name!r} may end too late: a run that starts at {start:%H:%M} and takes {longest}, "
                f"the limit, ends after {done_by:%H:%M}; set an earlier start."
            )


def _refuse_changing_clocks(name: str, cron: Cron, firings: list[datetime]) -> None:
    """Raise if a change of clocks makes the schedule run twice or not at all."""
    wall = [firing.astimezone(cron.zone) for firing in firings]
    twice = [at for at in wall if at.fold]
    plain = Cron(cron.expression, ZoneInfo("UTC"), cron.fields, cron.either_day)
    start, end = (at.replace(tzinfo=UTC) for at in (wall[0], wall[-1]))
    skipped = set(plain.list_firings(start - timedelta(seconds=1), end)) - {
        at.replace(tzinfo=UTC, fold=0) for at in wall
    }
    if twice or skipped:
        day, times = (twice[0], "twice") if twice else (min(skipped), "not at all")
        raise ForeactError(
            f"Schedule {name!r} would run {times} on {day:%Y-%m-%d}, because clocks change in {cron.zone.key} at that "
            "hour: set another one."
        )


def _read_deadline(package: Package) -> int:
    """Return how many seconds Kubernetes lets a run of the pipeline take."""
    platform = package.documents[1] if len(package.documents) > 1 else {}
    config = platform.get("platforms", {}).get("kubernetes", {}).get("pipelineConfig", {})
    return int(config.get("activeDeadlineSeconds", 0))


def fingerprint_content(content: dict[str, Any]) -> str:
    """Return a hash that identifies the content of a recurring run."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
