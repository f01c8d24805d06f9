"""`foreact submit`: one run on Kubeflow Pipelines, followed to its end."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands import promote as promoting
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
from commands.parameters import (
    Judging,
    Learning,
    Publishing,
    Reading,
    Store,
    Tables,
    read_parameters,
    spread_options,
)
from commands.stopping import stop_with_sentence
from foreact.errors import ForeactError
from foreact.settings import PlaceSettings

if TYPE_CHECKING:
    from foreact.kubeflow.settings import KubeflowSettings
    from foreact.runs.ledger import RunRecord

submit_app = typer.Typer(
    no_args_is_help=True,
    help="Run a pipeline on Kubeflow Pipelines. Exit code: 0 succeeded, 1 failed or not submitted, 3 cancelled, "
    "4 not ended in time.",
)

CANCELLED, UNFINISHED = 3, 4
# How long to wait for the blob store that holds the reason of a failure.
REACH_SECONDS = 10.0


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
    reading: Reading,
    learning: Learning,
    publishing: Publishing,
    judging: Judging,
    parameter: OtherParameters = None,
    cluster: Cluster,
    service_account: ServiceAccount = None,
    following: Following,
) -> None:
    """Retrain every store on the cluster."""
    options = read_parameters(history, tables, reading, learning, publishing, judging) | read_other_parameters(
        parameter
    )
    _submit_pipeline("retrain-all", options, read_settings(cluster, service_account), following)


@submit_app.command("retrain-store")
@spread_options
def submit_store(
    *,
    store: Store,
    history: Annotated[str | None, Source] = None,
    tables: Tables,
    reading: Reading,
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
        | read_parameters(history, tables, reading, learning, publishing, judging)
        | read_other_parameters(parameter)
    )
    _submit_pipeline("retrain-store", options, read_settings(cluster, service_account), following)


@submit_app.command("promote")
@spread_options
def submit_promotion(
    *,
    store: promoting.Store,
    version: promoting.Version,
    reason: promoting.Reason,
    force: promoting.Force = False,
    cluster: Cluster,
    service_account: ServiceAccount = None,
    following: Following,
) -> None:
    """Judge a registered version on the cluster and make it the live model, as `foreact promote` does here."""
    parameters = promoting.make_promotion(store, version, reason, force=force)
    _submit_pipeline("retrain-store", parameters, read_settings(cluster, service_account), following)


def _submit_pipeline(
    pipeline: str, parameters: dict[str, Any], settings: "KubeflowSettings", following: Following
) -> None:
    from commands.cluster_progress import StepsTable
    from foreact.kubeflow.package import FOLDER
    from foreact.runs.outcomes import explain_outcome
    from pipelines.cluster.packages import load_package
    from pipelines.cluster.submit import SETTLING, make_run_name, make_run_url, submit_run, watch_run

    refuse_local_paths(parameters)
    package = load_package(following.package or FOLDER / f"{pipeline}.yaml")
    package.check_parameters(parameters)
    place = PlaceSettings()
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
        url = make_run_url(run.id, kubeflow.host, place.run_url)
        typer.echo(f"{'Found' if run.adopted else 'Started'} {run.name}: {url}", err=True)
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
    if code == 1:
        outcome = explain_outcome(outcome, _read_record(run.id, place))
    typer.echo(f"foreact: {outcome.sentence} ({url})", err=True)
    raise typer.Exit(code)


def _read_record(run: str, place: PlaceSettings) -> "RunRecord | None":
    """Return the record that a run's steps have written; None if it cannot be read from here."""
    from foreact.blobs import connect
    from foreact.runs.ledger import RunLedger

    try:
        record = RunLedger(connect(place, patience=REACH_SECONDS)).read_history().find_run(run)
    except ForeactError as problem:
        typer.echo(f"The run's record cannot be read. {problem}", err=True)
        return None
    if record is None and not place.blob_url:
        typer.echo("The run's record can be read where FOREACT_BLOB_URL names the container of publications.", err=True)
    return record
