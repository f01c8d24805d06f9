"""`foreact registry`: what the model registry has yet to be told, and what it may forget."""

import os
from functools import partial

import typer

from commands.options import Workspace, open_store
from foreact.errors import ForeactError, count_noun
from foreact.settings import PipelineSettings

registry_app = typer.Typer(
    no_args_is_help=True, help="What the model registry has yet to be told, and what it may forget."
)


# Where an MLflow server keeps rows and files.
SERVER = ("MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION")


@registry_app.callback()
def registry() -> None:
    """Look after the model registry."""


@registry_app.command("catch-up")
def catch_up(workspace: Workspace) -> None:
    """Register the models and figures of runs that the registry did not answer; the next retrain-all does it too."""
    from components.register.step import register_owed
    from foreact.registry import Registry

    done = register_owed(Registry.connect(PipelineSettings(workspace=workspace)), open_store(workspace))
    for origin in done:
        typer.echo(f"{origin.run}  {origin.pipeline} {origin.store}".rstrip())
    typer.echo(f"Registered what was owed of {count_noun(len(done), 'run')}.")


@registry_app.command()
def prune(workspace: Workspace) -> None:
    """Delete versions, files, runs and figures registered FOREACT_KEEP_REGISTERED_DAYS ago that nothing names.

    It works on the tables of MLFLOW_BACKEND_STORE_URI and files of MLFLOW_ARTIFACTS_DESTINATION, or on the workspace's,
    and keeps what an alias or a retained publication names.
    """
    from foreact.publications import list_named_models
    from foreact.registry import Registry, prune_registry

    settings = PipelineSettings(workspace=workspace)
    since, find_named = settings.registered_since, partial(list_named_models, open_store(workspace))
    if all(place := [os.environ.get(name, "") for name in SERVER]):
        done = prune_registry(*place, named=find_named(), before=since)
    elif (own := Registry.connect(settings).prune(find_named, since)) is not None:
        done = own
    else:
        raise ForeactError(
            f"Set {' and '.join(SERVER)}, as the MLflow server has them: its tables are where to delete."
        )
    typer.echo(
        f"Deleted {count_noun(done.versions, 'version')}, {count_noun(done.runs, 'run')} and "
        f"{count_noun(done.points, 'point')} of figures registered before {since:%Y-%m-%d}."
    )
