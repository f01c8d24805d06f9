"""Schedules brought into force: whatever dies and whenever, no night is missed and none runs twice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import kfp_server_api as api
import pytest

from foreact.errors import ForeactError
from foreact.kubeflow.api import Kubeflow
from foreact.kubeflow.settings import KubeflowSettings
from pipelines.cluster.cron import Cron
from pipelines.cluster.schedules import Schedules
from pipelines.cluster.scheduling import Scheduler, load_packages
from tests.kubeflow.fake import Controller, Fake

BERLIN = ZoneInfo("Europe/Berlin")
GIVEN = {"history": "https://a.blob.core.windows.net/sales/"}
NOON = datetime(2026, 11, 21, 11, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def file(cron: str = "0 30 3 * * *", **others: Any) -> Schedules:
    nightly = {"pipeline": "retrain-all", "cron": cron, "parameters": GIVEN, "description": "Every night."} | others
    return Schedules.model_validate({"timezone": "Europe/Berlin", "schedules": {"nightly": nightly}})


@dataclass
class World:
    """A cluster with a clock that tests turn, and the one command."""

    fake: Fake
    kubeflow: Kubeflow
    settings: KubeflowSettings
    packages: Path
    time: datetime = NOON
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fake.clock = lambda: self.time
        self.controller = Controller(
            self.fake, lambda cron, since, now: Cron.parse(cron, BERLIN).list_firings(since, now)
        )

    @property
    def scheduler(self) -> Scheduler:
        return Scheduler(self.kubeflow, self.settings, now=self.tick, wait=self.until)

    def tick(self) -> datetime:
        """Each look at the clock takes a second, in which the controller looks too."""
        self.until(self.time + timedelta(seconds=1))
        return self.time

    def until(self, moment: datetime) -> None:
        while self.time < moment:
            self.time = min(moment, self.time + timedelta(minutes=20))
            self.controller.look()
            self.controller.end_runs()

    def apply(self, schedules: Schedules | None = None) -> list[str]:
        schedules = schedules or file()
        return self.scheduler.apply_schedules(schedules, load_packages(schedules, self.packages), self.told.append)

    def nights(self) -> list[str]:
        """When runs were due, in Berlin."""
        return [f"{run.scheduled_at.astimezone(BERLIN):%d %H:%M}" for run in self.fake.kept("runs")]

    def state(self) -> list[tuple[str, str]]:
        return [(r.trigger.cron_schedule.cron, r.mode) for r in self.fake.kept("recurring_runs")]


@pytest.fixture
def world(fake: Fake, kubeflow: Kubeflow, settings: KubeflowSettings, packages: Path) -> World:
    return World(fake, kubeflow, settings, packages)


def test_the_first_time(world: World) -> None:
    world.apply()
    assert [line.split()[1] for line in world.told] == ["create", "enable"]
    (made,) = world.fake.kept("recurring_runs")
    assert (made.max_concurrency, made.no_catchup, made.mode) == ("1", True, "ENABLE")
    assert made.service_account == "foreact-pipelines"
    assert made.runtime_config.parameters == GIVEN
    world.until(NOON + 3 * DAY)
    assert world.nights() == ["22 03:30", "23 03:30", "24 03:30"]


def test_the_second_time_changes_nothing(world: World) -> None:
    world.apply()
    before = world.fake.mutations
    world.apply()
    assert world.fake.mutations == before
    assert world.scheduler.plan_steps(file(), load_packages(file(), world.packages)) == []


def change_pipeline(world: World) -> Schedules:
    path = world.packages / "retrain-all.yaml"
    path.write_bytes(path.read_bytes() + b"# changed\n")
    return file()


CHANGES: dict[str, Callable[[World], Schedules]] = {
    "cron": lambda _: file("0 0 4 * * *"),
    "parameters": lambda _: file(parameters=GIVEN | {"horizon": 14}),
    "description": lambda _: file(description="Each night."),
    "pipeline": change_pipeline,
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_change_takes_the_old_ones_place(world: World, change: str) -> None:
    world.apply()
    (old,) = world.fake.kept("recurring_runs")
    world.until(NOON + DAY)
    world.told.clear()
    world.apply(CHANGES[change](world))
    assert [line.split()[1] for line in world.told] == ["create", "disable", "enable", "delete"]
    (new,) = world.fake.kept("recurring_runs")
    assert new.recurring_run_id != old.recurring_run_id
    world.until(NOON + 3 * DAY)
    assert [night[:2] for night in world.nights()] == ["22", "23", "24"]


def test_the_plan_is_what_is_done(world: World) -> None:
    world.apply()
    new = file("0 0 4 * * *")
    plan = world.scheduler.plan_steps(new, load_packages(new, world.packages))
    before = world.fake.mutations
    assert [step.verb for step in plan] == ["create", "disable", "enable", "delete"]
    assert world.fake.mutations == before
    world.told.clear()
    world.apply(new)
    assert [line.split()[1] for line in world.told] == [step.verb for step in plan]


def deaths() -> Iterator[Any]:
    for when in ("noon", "just before", "just after"):
        for call in range(1, 7):
            for doing in (False, True):
                for rerun in ("at once", "next noon"):
                    yield pytest.param(when, call, doing, rerun, id=f"{when}-{call}-{doing}-{rerun}")


STARTS = {
    "noon": NOON + DAY,
    "just before": datetime(2026, 11, 23, 2, 29, 57, tzinfo=UTC),
    "just after": datetime(2026, 11, 23, 2, 30, 1, tzinfo=UTC),
}


@pytest.mark.parametrize(("when", "call", "doing", "rerun"), list(deaths()))
def test_no_gap_and_no_double_run_wherever_it_dies(world: World, when: str, call: int, doing: bool, rerun: str) -> None:
    """Each call in turn is the last one the server lives to see; later the same command is given again."""
    world.apply()
    world.until(STARTS[when])
    changed = file(parameters=GIVEN | {"horizon": 14})
    change_pipeline(world)
    world.fake.mutations = 0
    world.fake.dies_at, world.fake.dies_after_doing = call, doing
    try:
        world.apply(changed)
    except ForeactError:
        world.fake.revive()
        if rerun == "next noon":
            world.until(NOON + 2 * DAY)
        world.apply(changed)
    world.fake.revive()
    world.until(NOON + 5 * DAY)
    assert world.nights() == [f"{day} 03:30" for day in range(22, 27)]
    world.apply(changed)
    assert world.state() == [("0 30 3 * * *", "ENABLE")]


@pytest.mark.parametrize("call", range(1, 7))
@pytest.mark.parametrize("doing", [False, True])
def test_the_first_time_may_die_too(world: World, call: int, doing: bool) -> None:
    world.fake.dies_at, world.fake.dies_after_doing = call, doing
    try:
        world.apply()
    except ForeactError:
        world.fake.revive()
        world.until(NOON + 3 * DAY)
        world.apply()
    world.fake.revive()
    world.until(NOON + 5 * DAY)
    assert world.nights()[-2:] == ["25 03:30", "26 03:30"]
    assert len(set(world.nights())) == len(world.nights())
    world.apply()
    assert world.state() == [("0 30 3 * * *", "ENABLE")]


def test_a_switch_waits_for_a_firing_to_pass(world: World) -> None:
    world.apply()
    world.until(STARTS["just before"] - timedelta(minutes=1))
    world.apply(file(parameters=GIVEN | {"horizon": 14}))
    assert any(" wait " in line for line in world.told)
    assert world.nights() == ["22 03:30", "23 03:30"]
    world.until(NOON + 2 * DAY)
    assert world.nights() == ["22 03:30", "23 03:30"]


def test_one_whose_run_goes_on_is_deleted_later(world: World) -> None:
    """Deleting it would take the run with it."""
    world.apply()
    world.until(STARTS["just after"] + timedelta(minutes=10))
    assert [run.state for run in world.fake.kept("runs")] == ["SUCCEEDED", "RUNNING"]
    changed = file("0 0 4 * * *")
    assert world.apply(changed) == ["nightly"]
    assert world.state() == [("0 30 3 * * *", "DISABLE"), ("0 0 4 * * *", "ENABLE")]
    world.until(NOON + 2 * DAY)
    assert world.apply(changed) == []
    assert world.state() == [("0 0 4 * * *", "ENABLE")]


def test_paused_and_resumed_without_a_run_out_of_turn(world: World) -> None:
    world.apply()
    world.scheduler.pause_schedules([], world.told.append)
    world.until(NOON + 3 * DAY)
    assert world.nights() == []
    world.apply()
    world.until(NOON + 3 * DAY + HOUR)
    assert world.nights() == [], "what was missed on purpose is not made up for"
    world.until(NOON + 4 * DAY)
    assert world.nights() == ["25 03:30"]
    assert world.state() == [("0 30 3 * * *", "ENABLE")]


def test_paused_amid_a_replacement(world: World) -> None:
    world.apply()
    world.fake.mutations = 0
    world.fake.dies_at, world.fake.dies_after_doing = 1, True
    changed = file(parameters=GIVEN | {"horizon": 14})
    with pytest.raises(ForeactError):
        world.apply(changed)
    world.fake.revive()
    assert [mode for _, mode in world.state()] == ["ENABLE", "DISABLE"]
    world.scheduler.pause_schedules(["nightly"], world.told.append)
    world.until(NOON + 3 * DAY)
    world.apply(changed)
    world.until(NOON + 3 * DAY + HOUR)
    assert world.nights() == []
    world.until(NOON + 4 * DAY)
    assert world.nights() == ["25 03:30"]


def test_paused_in_the_file(world: World) -> None:
    world.apply()
    world.apply(file(enabled=False))
    assert world.state() == [("0 30 3 * * *", "DISABLE")]
    world.apply(file(enabled=False))
    world.apply()
    assert world.state() == [("0 30 3 * * *", "ENABLE")]


def test_nobody_pauses_what_is_not_there(world: World) -> None:
    with pytest.raises(ForeactError, match="There is no schedule 'weekly' in experiment 'foreact'"):
        world.scheduler.pause_schedules(["weekly"], world.told.append)


def test_one_that_left_the_file_goes(world: World) -> None:
    world.apply()
    world.apply(Schedules(timezone="Europe/Berlin", schedules={}))
    assert world.state() == []


def test_two_that_fire_become_one(world: World) -> None:
    world.apply()
    world.apply(file("0 0 4 * * *", enabled=False))
    for recurring in world.fake.kept("recurring_runs"):
        recurring.mode = "ENABLE"
    world.apply()
    assert world.state() == [("0 30 3 * * *", "ENABLE")]


def test_what_is_somebody_elses_is_left_alone(world: World) -> None:
    world.apply()
    (ours,) = world.fake.kept("recurring_runs")
    theirs = world.kubeflow.create_recurring_run(_copy(ours, description="by hand"))
    elsewhere = world.kubeflow.create_recurring_run(
        _copy(ours, experiment_id=world.kubeflow.ensure_experiment("another"))
    )
    world.apply(file("0 0 4 * * *"))
    left = {r.recurring_run_id for r in world.fake.kept("recurring_runs")}
    assert {theirs["recurring_run_id"], elsewhere["recurring_run_id"]} < left
    assert len(left) == 3


def _copy(recurring: Any, **changes: Any) -> dict[str, Any]:
    values = api.ApiClient().sanitize_for_serialization(recurring)
    return {name: value for name, value in values.items() if name != "recurring_run_id"} | changes


def test_all_pages_are_looked_at(world: World) -> None:
    world.fake.most = 1
    two = Schedules.model_validate(
        {
            "timezone": "Europe/Berlin",
            "schedules": {
                n: {"pipeline": "retrain-all", "cron": "0 30 3 * * *", "parameters": GIVEN} for n in ("one", "two")
            },
        }
    )
    world.apply(two)
    before = world.fake.mutations
    world.apply(two)
    assert world.fake.mutations == before
    assert [run.name for run in world.scheduler.list_recurring_runs()] == ["one", "two"]


def test_a_status_that_lags_behind_is_not_believed(world: World) -> None:
    world.apply()
    (ours,) = world.fake.kept("recurring_runs")
    ours.status = "DISABLED"
    before = world.fake.mutations
    world.apply()
    assert world.fake.mutations == before


def test_the_installations_time_zone_has_to_be_the_files(world: World) -> None:
    world.settings = world.settings.model_copy(update={"timezone": "UTC"})
    with pytest.raises(ForeactError, match="CRON_SCHEDULE_TIMEZONE=Europe/Berlin, and here FOREACT_KFP_TIMEZONE"):
        world.apply()
    assert world.fake.calls == []


def test_a_schedule_without_its_data_is_refused_first(world: World) -> None:
    with pytest.raises(ForeactError, match="retrain-all needs 'history'"):
        world.apply(file(parameters={}))
    assert world.fake.calls == []


def test_a_package_whose_image_does_not_exist_is_refused(packages: Path) -> None:
    path = packages / "retrain-all.yaml"
    zeros = "registry.example/foreact-pipeline@sha256:" + "0" * 64
    path.write_text(path.read_text().replace("Retrain every store.", zeros))
    with pytest.raises(ForeactError, match=r"nobody has built.*make packages OVERLAY=PLACE"):
        load_packages(file(), packages)
