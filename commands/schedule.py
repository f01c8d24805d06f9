"""`foreact schedule`: the recurring runs that Kubeflow Pipelines should have."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cluster import (
    Cluster,
    OtherParameters,
    ServiceAccount,
    Source,
    connect_kubeflow,
    read_other_parameters,
    read_settings,
    refuse_local_paths,
)
from commands.parameters import Tables, read_parameters, spread_options
from foreact.errors import count_noun

if TYPE_CHECKING:
    from foreact.kubeflow.settings import KubeflowSettings
    from pipelines.cluster.schedules import Schedules
    from pipelines.cluster.scheduling import Scheduler

schedule_app = typer.Typer(no_args_is_help=True, help="Make Kubeflow Pipelines' recurring runs match schedules.yaml.")


File = Annotated[
    Path | None,
    typer.Option(
        "--file", metavar="FILE", help="The schedules (default: pipelines/schedules.yaml)", show_default=False
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option("--packages", metavar="DIR", help="The compiled pipelines (default: compiled/)", show_default=False),
]


@schedule_app.command("apply")
@spread_options
def apply_schedules(
    *,
    history: Annotated[str | None, Source] = None,
    tables: Tables,
    parameter: OtherParameters = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be done")] = False,
    file: File = None,
    packages: Folder = None,
    cluster: Cluster,
    service_account: ServiceAccount = None,
) -> None:
    """Make the recurring runs match the schedules; a second time changes nothing.

    Parameters given here are added to those of every schedule in the file.
    """
    from foreact.kubeflow.package import FOLDER
    from pipelines.cluster.scheduling import load_packages

    parameters = read_parameters(history, tables)
    if not tables.known:
        parameters.pop("known", None)
    refuse_local_paths(parameters)
    schedules = _load_schedules(file, parameters | read_other_parameters(parameter))
    compiled = load_packages(schedules, packages or FOLDER)
    with _open_scheduler(read_settings(cluster, service_account)) as scheduler:
        if dry_run:
            steps = scheduler.plan_steps(schedules, compiled)
            for step in steps:
                typer.echo(step)
            typer.echo(f"{len(steps)} steps to take." if steps else "Nothing to do.", err=True)
            return
        left = scheduler.apply_schedules(schedules, compiled, typer.echo)
    for name in left:
        typer.echo(f"{name}: a recurring run that was replaced still has a run; the next apply deletes it.", err=True)
    typer.echo(f"In force: {count_noun(len(schedules.schedules), 'schedule')}.", err=True)


@schedule_app.command("list")
@spread_options
def list_schedules(
    *,
    cluster: Cluster,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line")] = False,
) -> None:
    """Show the schedules that Kubeflow Pipelines has, and when each fires next."""
    with _open_scheduler(read_settings(cluster)) as scheduler:
        recurring_runs = scheduler.list_recurring_runs()
    for run in recurring_runs:
        following = run.cron.next_firing(datetime.now(UTC)) if run.cron and run.enabled else None
        row = {
            "name": run.name,
            "enabled": run.enabled,
            "cron": run.cron.expression if run.cron else None,
            "timezone": run.cron.zone.key if run.cron else None,
            "next": following.isoformat() if following else None,
            "running": run.busy,
            "id": run.id,
        }
        if as_json:
            typer.echo(json.dumps(row))
            continue
        local = f"next {following.astimezone(run.cron.zone):%Y-%m-%d %H:%M %Z}" if following and run.cron else "paused"
        typer.echo(f"{run.name:<20} {row['cron']} {row['timezone']}, {local}{', running' if run.busy else ''}")


@schedule_app.command("pause")
@spread_options
def pause_schedules(
    *,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Names of the schedules; without a name, all")
    ] = None,
    cluster: Cluster,
) -> None:
    """Keep schedules from firing until the next `foreact schedule apply`; runs that have started go on."""
    with _open_scheduler(read_settings(cluster)) as scheduler:
        scheduler.pause_schedules(names or [], typer.echo)


@contextmanager
def _open_scheduler(settings: "KubeflowSettings") -> Iterator["Scheduler"]:
    with connect_kubeflow(settings) as kubeflow:
        from pipelines.cluster.scheduling import Scheduler

        yield Scheduler(kubeflow, settings)


def _load_schedules(file: Path | None, added: dict[str, Any]) -> "Schedules":
    from pipelines.cluster.schedules import FILE, load_schedules

    schedules = load_schedules(file or FILE)
    changed = {
        name: schedule.model_copy(update={"parameters": schedule.parameters | added})
        for name, schedule in schedules.schedules.items()
    }
    return schedules.model_copy(update={"schedules": changed})
