"""`foreact submit` and `foreact schedule`: runs on Kubeflow Pipelines, once and every night."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.parameters import Judging, Learning, Store, Tables, read_parameters, spread_options
from commands.stopping import stop_with_sentence
from foreact.errors import ForeactError, count_noun

if TYPE_CHECKING:
    from foreact.kubeflow.api import Kubeflow
    from foreact.kubeflow.settings import KubeflowSettings
    from pipelines.cluster.schedules import Schedules
    from pipelines.cluster.scheduling import Scheduler

submit_app = typer.Typer(
    no_args_is_help=True,
    help="Run a pipeline on Kubeflow Pipelines. Exit code: 0 succeeded, 1 failed or not submitted, 3 cancelled, "
    "4 not ended in time.",
)
schedule_app = typer.Typer(no_args_is_help=True, help="Keep Kubeflow Pipelines' recurring runs as schedules.yaml says.")

CANCELLED, UNFINISHED = 3, 4

Source = typer.Option(
    metavar="URI",
    help="Sales in Blob: https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX; one row a date, store and item.",
    show_default=False,
)


@dataclass(frozen=True)
class Cluster:
    """Which installation is meant; what is left out, FOREACT_KFP_* settings say."""

    host: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Kubeflow Pipelines' API (default: FOREACT_KFP_HOST)", show_default=False),
    ] = None
    namespace: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Namespace of the runs, on an installation with several users", show_default=False
        ),
    ] = None
    experiment: Annotated[
        str | None, typer.Option(metavar="NAME", help="Experiment of the runs (default: foreact)", show_default=False)
    ] = None


Account = Annotated[
    str | None,
    typer.Option(
        "--service-account",
        metavar="NAME",
        help="Service account of the runs' pods (default: foreact-pipelines)",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Following:
    """What is started, and how it is followed."""

    package: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compiled pipeline (default: compiled/)", show_default=False)
    ] = None
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name of the run; one of that name that is there already is followed instead of started again",
            show_default=False,
        ),
    ] = None
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the run to its end")] = True
    timeout: Annotated[float, typer.Option(metavar="MINUTES", help="Stop following after so long; the run goes on")] = (
        300
    )


Other = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter", metavar="NAME=JSON", help="Any other parameter of the pipeline, as in train_memory='\"16Gi\"'"
    ),
]
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


@submit_app.command("retrain-all")
@spread_options
def submit_all(
    *,
    history: Annotated[str, Source],
    tables: Tables,
    learning: Learning,
    judging: Judging,
    parameter: Other = None,
    cluster: Cluster,
    service_account: Account = None,
    following: Following,
) -> None:
    """Retrain every store on the cluster."""
    given = read_parameters(history, tables, learning, judging) | _read_others(parameter)
    _submit_pipeline("retrain-all", given, _read_settings(cluster, service_account), following)


@submit_app.command("retrain-store")
@spread_options
def submit_store(
    *,
    store: Store,
    history: Annotated[str, Source],
    tables: Tables,
    learning: Learning,
    judging: Judging,
    parameter: Other = None,
    cluster: Cluster,
    service_account: Account = None,
    following: Following,
) -> None:
    """Retrain one store on the cluster; every other store's forecasts stay as they are."""
    given = {"store": store} | read_parameters(history, tables, learning, judging) | _read_others(parameter)
    _submit_pipeline("retrain-store", given, _read_settings(cluster, service_account), following)


def _submit_pipeline(
    pipeline: str, parameters: dict[str, Any], settings: "KubeflowSettings", following: Following
) -> None:
    from commands.cluster_progress import StepsTable
    from foreact.kubeflow.package import FOLDER, Package
    from pipelines.cluster.submit import SETTLING, make_run_name, submit_run, watch_run

    _refuse_local(parameters)
    package = Package.load(following.package or FOLDER / f"{pipeline}.yaml")
    package.check_parameters(parameters)
    with _connect_kubeflow(settings) as kubeflow:
        run = submit_run(
            kubeflow,
            package,
            parameters,
            name=following.name or make_run_name(pipeline, parameters.get("store", "")),
            experiment=settings.experiment,
            account=settings.service_account,
            # Names that are drawn meet no other.
            settling=SETTLING if following.name else 0.0,
        )
        typer.echo(f"{'Uploaded' if run.uploaded else 'Reused'} {package.name} {run.version}", err=True)
        typer.echo(f"{'Found' if run.adopted else 'Started'} {run.name}: {run.url}", err=True)
        typer.echo(run.id)
        if not following.wait:
            return
        with stop_with_sentence("Stopped following; the run goes on."), StepsTable() as view:
            outcome = watch_run(
                kubeflow,
                run.id,
                package,
                lambda tasks: view.show_steps([(task.title, task.state) for task in tasks]),
                timeout=following.timeout * 60,
            )
    if outcome.succeeded:
        typer.echo(f"{run.name} succeeded.", err=True)
        return
    code = {"CANCELED": CANCELLED, "FAILED": 1, "SKIPPED": 1}.get(outcome.state, UNFINISHED)
    typer.echo(f"foreact: {outcome.sentence} ({run.url})", err=True)
    raise typer.Exit(code)


@schedule_app.command("apply")
@spread_options
def apply_schedules(
    *,
    history: Annotated[str | None, Source] = None,
    tables: Tables,
    parameter: Other = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done")] = False,
    file: File = None,
    packages: Folder = None,
    cluster: Cluster,
    service_account: Account = None,
) -> None:
    """Make the recurring runs match the schedules; done twice, it changes nothing the second time.

    Parameters given here are added to those of every schedule in the file.
    """
    from foreact.kubeflow.package import FOLDER
    from pipelines.cluster.scheduling import load_packages

    given = read_parameters(history, tables)
    if not tables.known:
        given.pop("known", None)
    _refuse_local(given)
    schedules = _load_schedules(file, given | _read_others(parameter))
    compiled = load_packages(schedules, packages or FOLDER)
    with _open_scheduler(_read_settings(cluster, service_account)) as scheduler:
        if dry_run:
            steps = scheduler.plan(schedules, compiled)
            for step in steps:
                typer.echo(step)
            typer.echo(f"{len(steps)} steps to take." if steps else "Nothing to do.", err=True)
            return
        left = scheduler.apply(schedules, compiled, typer.echo)
    for name in left:
        typer.echo(f"{name}: one that was replaced still has a run; the next apply deletes it.", err=True)
    typer.echo(f"In force: {count_noun(len(schedules.schedules), 'schedule')}.", err=True)


@schedule_app.command("list")
@spread_options
def list_schedules(
    *,
    cluster: Cluster,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line")] = False,
) -> None:
    """Show the schedules that Kubeflow Pipelines has, and when each fires next."""
    with _open_scheduler(_read_settings(cluster)) as scheduler:
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
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which; none means all")] = None,
    cluster: Cluster,
) -> None:
    """Keep schedules from firing until the next `foreact schedule apply`; runs that have begun go on."""
    with _open_scheduler(_read_settings(cluster)) as scheduler:
        scheduler.pause(names or [], typer.echo)


def _read_settings(cluster: Cluster, account: str | None = None) -> "KubeflowSettings":
    from foreact.kubeflow.settings import KubeflowSettings

    given = asdict(cluster) | {"service_account": account}
    return KubeflowSettings().model_copy(update={name: value for name, value in given.items() if value is not None})


def _connect_kubeflow(settings: "KubeflowSettings") -> "Kubeflow":
    try:
        from foreact.kubeflow.api import Kubeflow
    except ImportError:
        raise ForeactError("This needs the Kubeflow Pipelines client: pip install 'foreact[kubeflow]'.") from None
    return Kubeflow(settings)


@contextmanager
def _open_scheduler(settings: "KubeflowSettings") -> Iterator["Scheduler"]:
    with _connect_kubeflow(settings) as kubeflow:
        from pipelines.cluster.scheduling import Scheduler

        yield Scheduler(kubeflow, settings)


def _load_schedules(file: Path | None, given: dict[str, Any]) -> "Schedules":
    from pipelines.cluster.schedules import FILE, load_schedules

    schedules = load_schedules(file or FILE)
    changed = {
        name: schedule.model_copy(update={"parameters": schedule.parameters | given})
        for name, schedule in schedules.schedules.items()
    }
    return schedules.model_copy(update={"schedules": changed})


def _read_others(pairs: list[str] | None) -> dict[str, Any]:
    others = {}
    for pair in pairs or []:
        name, separator, value = pair.partition("=")
        try:
            if not separator:
                raise ValueError
            others[name.strip()] = json.loads(value)
        except ValueError:
            raise ForeactError(f"--parameter takes NAME=JSON, as in train_cpu='\"4\"', not {pair!r}.") from None
    return others


def _refuse_local(parameters: dict[str, Any]) -> None:
    for uri in [parameters.get("history", ""), *parameters.get("known", [])]:
        if uri and "://" not in uri:
            raise ForeactError(
                f"{uri} is a path on this machine; the cluster's pods read from Blob: give "
                "https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX."
            )
