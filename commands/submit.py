"""`foreact submit`: one run on Kubeflow Pipelines, followed to its end."""

from dataclasses import dataclass
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
from commands.parameters import Judging, Learning, Publishing, Store, Tables, read_parameters, spread_options
from commands.stopping import stop_with_sentence

if TYPE_CHECKING:
    from foreact.kubeflow.settings import KubeflowSettings

submit_app = typer.Typer(
    no_args_is_help=True,
    help="Run a pipeline on Kubeflow Pipelines. Exit code: 0 succeeded, 1 failed or not submitted, 3 cancelled, "
    "4 not ended in time.",
)

CANCELLED, UNFINISHED = 3, 4


@dataclass(frozen=True)
class Following:
    """What is started, and whether and how long it is followed."""

    package: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compiled pipeline (default: compiled/)", show_default=False)
    ] = None
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name of the run; if one of that name exists, it is followed instead of started again",
            show_default=False,
        ),
    ] = None
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the run to its end")] = True
    timeout: Annotated[
        float, typer.Option(metavar="MINUTES", help="Stop following after this time; the run goes on")
    ] = 300


@submit_app.command("retrain-all")
@spread_options
def submit_all(
    *,
    history: Annotated[str, Source],
    tables: Tables,
    learning: Learning,
    publishing: Publishing,
    judging: Judging,
    parameter: OtherParameters = None,
    cluster: Cluster,
    service_account: ServiceAccount = None,
    following: Following,
) -> None:
    """Retrain every store on the cluster."""
    options = read_parameters(history, tables, learning, publishing, judging) | read_other_parameters(parameter)
    _submit_pipeline("retrain-all", options, read_settings(cluster, service_account), following)


@submit_app.command("retrain-store")
@spread_options
def submit_store(
    *,
    store: Store,
    history: Annotated[str, Source],
    tables: Tables,
    learning: Learning,
    publishing: Publishing,
    judging: Judging,
    parameter: OtherParameters = None,
    cluster: Cluster,
    service_account: ServiceAccount = None,
    following: Following,
) -> None:
    """Retrain one store on the cluster; every other store's forecasts stay as they are."""
    options = (
        {"store": store}
        | read_parameters(history, tables, learning, publishing, judging)
        | read_other_parameters(parameter)
    )
    _submit_pipeline("retrain-store", options, read_settings(cluster, service_account), following)


def _submit_pipeline(
    pipeline: str, parameters: dict[str, Any], settings: "KubeflowSettings", following: Following
) -> None:
    from commands.cluster_progress import StepsTable
    from foreact.kubeflow.package import FOLDER
    from pipelines.cluster.packages import load_package
    from pipelines.cluster.submit import SETTLING, make_run_name, submit_run, watch_run

    refuse_local_paths(parameters)
    package = load_package(following.package or FOLDER / f"{pipeline}.yaml")
    package.check_parameters(parameters)
    with connect_kubeflow(settings) as kubeflow:
        run = submit_run(
            kubeflow,
            package,
            parameters,
            name=following.name or make_run_name(pipeline, parameters.get("store", "")),
            experiment=settings.experiment,
            account=settings.service_account,
            # A generated name cannot clash.
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
