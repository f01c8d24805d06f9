"""`foreact registry`: what the model registry has yet to be told."""

import typer

from commands.options import Workspace, open_store
from foreact.errors import count_noun
from foreact.settings import PipelineSettings

registry_app = typer.Typer(no_args_is_help=True, help="What the model registry has yet to be told.")


@registry_app.callback()
def registry() -> None:
    """Keep the commands below `registry`, though there is one."""


@registry_app.command("catch-up")
def catch_up(workspace: Workspace) -> None:
    """Register the models and figures of runs that the registry did not answer; the next retrain-all does it too."""
    from components.register.step import register_owed
    from foreact.registry import Registry

    done = register_owed(Registry.connect(PipelineSettings(workspace=workspace)), open_store(workspace))
    for origin in done:
        typer.echo(f"{origin.run}  {origin.pipeline} {origin.store}".rstrip())
    typer.echo(f"Registered what was owed of {count_noun(len(done), 'run')}.")
