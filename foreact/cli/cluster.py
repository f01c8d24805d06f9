"""`foreact submit` and `foreact schedule`: runs on Kubeflow Pipelines, once and every night."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreact.cli.run import AsOf, Columns, Horizon, Known, Margin, MaxRejected, Missing, Seed, read_parameters
from foreact.errors import ForeactError

if TYPE_CHECKING:
    from pipelines.cluster.kubeflow import Kubeflow
    from pipelines.cluster.schedules import Schedules
    from pipelines.cluster.scheduling import Scheduler
    from pipelines.cluster.settings import KubeflowSettings

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

Host = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Kubeflow Pipelines' API (default: FOREACT_KFP_HOST)", show_default=False),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Namespace of the runs, on an installation with several users", show_default=False
    ),
]
Experiment = Annotated[
    str | None, typer.Option(metavar="NAME", help="Experiment of the runs (default: foreact)", show_default=False)
]
Account = Annotated[
    str | None,
    typer.Option(
        "--service-account",
        metavar="NAME",
        help="Service account of the runs' pods (default: foreact-pipelines)",
        show_default=False,
    ),
]
PackageFile = Annotated[
    Path | None,
    typer.Option("--package", metavar="FILE", help="Compiled pipeline (default: compiled/)", show_default=False),
]
RunName = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="Name of the run; one of that name that is there already is followed instead of started again",
        show_default=False,
    ),
]
Other = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter", metavar="NAME=JSON", help="Any other parameter of the pipeline, as in train_memory='\"16Gi\"'"
    ),
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the run to its end")]
Timeout = Annotated[float, typer.Option(metavar="MINUTES", help="Stop following after so long; the run goes on")]
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
def submit_all(
    history: Annotated[str, Source],
    known: Known = None,
    columns: Columns = None,
    as_of: AsOf = None,
    horizon: Horizon = None,
    missing: Missing = None,
    margin: Margin = None,
    max_rejected_share: MaxRejected = None,
    seed: Seed = None,
    parameter: Other = None,
    host: Host = None,
    namespace: Namespace = None,
    experiment: Experiment = None,
    service_account: Account = None,
    package: PackageFile = None,
    name: RunName = None,
    wait: Wait = True,
    timeout: Timeout = 300,
) -> None:
    """Retrain every store on the cluster."""
    given = read_parameters(
        history,
        known,
        columns,
        as_of,
        horizon,
        missing,
        margin=margin,
        max_rejected_share=max_rejected_share,
        seed=seed,
    )
    settings = _settings(host, namespace, experiment, service_account)
    _refuse_local(given)
    _submit("retrain-all", given | _others(parameter), settings, package, name, wait, timeout)


@submit_app.command("retrain-store")
def submit_store(
    store: Annotated[str, typer.Option(metavar="ID", help="The store to retrain")],
    history: Annotated[str, Source],
    known: Known = None,
    columns: Columns = None,
    as_of: AsOf = None,
    horizon: Horizon = None,
    missing: Missing = None,
    margin: Margin = None,
    max_rejected_share: MaxRejected = None,
    seed: Seed = None,
    parameter: Other = None,
    host: Host = None,
    namespace: Namespace = None,
    experiment: Experiment = None,
    service_account: Account = None,
    package: PackageFile = None,
    name: RunName = None,
    wait: Wait = True,
    timeout: Timeout = 60,
) -> None:
    """Retrain one store on the cluster; every other store's forecasts stay as they are."""
    given = read_parameters(
        history,
        known,
        columns,
        as_of,
        horizon,
        missing,
        margin=margin,
        max_rejected_share=max_rejected_share,
        seed=seed,
    )
    settings = _settings(host, namespace, experiment, service_account)
    _refuse_local(given)
    _submit("retrain-store", {"store": store} | given | _others(parameter), settings, package, name, wait, timeout)


def _submit(
    pipeline: str,
    parameters: dict[str, Any],
    settings: "KubeflowSettings",
    path: Path | None,
    name: str | None,
    wait: bool,
    timeout: float,
) -> None:
    from foreact.cli.steps import Steps
    from pipelines.cluster.package import FOLDER, Package
    from pipelines.cluster.submit import run_name, submit, watch

    package = Package.load(path or FOLDER / f"{pipeline}.yaml")
    package.check(parameters)
    kubeflow = _connect(settings)
    run = submit(
        kubeflow,
        package,
        parameters,
        name=name or run_name(pipeline, parameters.get("store", "")),
        experiment=settings.experiment,
        account=settings.service_account,
    )
    typer.echo(f"{'Uploaded' if run.uploaded else 'Reused'} {package.name} {run.version}", err=True)
    typer.echo(f"{'Found' if run.adopted else 'Started'} {run.name}: {run.url}", err=True)
    typer.echo(run.id)
    if not wait:
        return
    with Steps() as view:
        outcome = watch(
            kubeflow,
            run.id,
            package.titles,
            lambda tasks: view.show([(task.title, task.state) for task in tasks]),
            timeout=timeout * 60,
        )
    if outcome.succeeded:
        typer.echo(f"{run.name} succeeded.", err=True)
        return
    code = {"CANCELED": CANCELLED, "FAILED": 1, "SKIPPED": 1}.get(outcome.state, UNFINISHED)
    typer.echo(f"foreact: {outcome.sentence} ({run.url})", err=True)
    raise typer.Exit(code)


@schedule_app.command("apply")
def apply_schedules(
    history: Annotated[str | None, Source] = None,
    known: Known = None,
    columns: Columns = None,
    parameter: Other = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done")] = False,
    file: File = None,
    packages: Folder = None,
    host: Host = None,
    namespace: Namespace = None,
    experiment: Experiment = None,
    service_account: Account = None,
) -> None:
    """Make the recurring runs match the schedules; done twice, it changes nothing the second time.

    Parameters given here are added to those of every schedule in the file.
    """
    from pipelines.cluster.package import FOLDER
    from pipelines.cluster.scheduling import load_packages

    given = read_parameters(history, known, columns, None, None, None)
    if not known:
        given.pop("known", None)
    _refuse_local(given)
    schedules = _load(file, given | _others(parameter))
    compiled = load_packages(schedules, packages or FOLDER)
    scheduler = _scheduler(_settings(host, namespace, experiment, service_account))
    if dry_run:
        steps = scheduler.plan(schedules, compiled)
        for step in steps:
            typer.echo(step)
        typer.echo(f"{len(steps)} steps to take." if steps else "Nothing to do.", err=True)
        return
    left = scheduler.apply(schedules, compiled, typer.echo)
    for name in left:
        typer.echo(f"{name}: one that was replaced still has a run; the next apply deletes it.", err=True)
    typer.echo(f"{len(schedules.schedules)} schedules are in force.", err=True)


@schedule_app.command("list")
def list_schedules(
    host: Host = None,
    namespace: Namespace = None,
    experiment: Experiment = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line")] = False,
) -> None:
    """Show the schedules that Kubeflow Pipelines has, and when each fires next."""
    for run in _scheduler(_settings(host, namespace, experiment, None)).there():
        following = run.cron.after(datetime.now(UTC)) if run.cron and run.enabled else None
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
def pause_schedules(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which; none means all")] = None,
    host: Host = None,
    namespace: Namespace = None,
    experiment: Experiment = None,
) -> None:
    """Keep schedules from firing until the next `foreact schedule apply`; runs that have begun go on."""
    _scheduler(_settings(host, namespace, experiment, None)).pause(names or [], typer.echo)


def _settings(
    host: str | None, namespace: str | None, experiment: str | None, account: str | None
) -> "KubeflowSettings":
    from pydantic import ValidationError

    from pipelines.cluster.settings import KubeflowSettings

    given = {"host": host, "namespace": namespace, "experiment": experiment, "service_account": account}
    try:
        settings = KubeflowSettings()
    except ValidationError as error:
        first = error.errors()[0]
        raise ForeactError(f"FOREACT_KFP_{str(first['loc'][0]).upper()}: {first['msg']}.") from None
    return settings.model_copy(update={name: value for name, value in given.items() if value is not None})


def _connect(settings: "KubeflowSettings") -> "Kubeflow":
    try:
        from pipelines.cluster.kubeflow import Kubeflow
    except ImportError:
        raise ForeactError("This needs the Kubeflow Pipelines client: pip install 'foreact[kubeflow]'.") from None
    return Kubeflow(settings)


def _scheduler(settings: "KubeflowSettings") -> "Scheduler":
    kubeflow = _connect(settings)
    from pipelines.cluster.scheduling import Scheduler

    return Scheduler(kubeflow, settings)


def _load(file: Path | None, given: dict[str, Any]) -> "Schedules":
    from pipelines.cluster.schedules import FILE, load

    schedules = load(file or FILE)
    changed = {
        name: schedule.model_copy(update={"parameters": schedule.parameters | given})
        for name, schedule in schedules.schedules.items()
    }
    return schedules.model_copy(update={"schedules": changed})


def _others(pairs: list[str] | None) -> dict[str, Any]:
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
