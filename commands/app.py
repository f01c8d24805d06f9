"""The command line: each command parses, calls the part that does the work, and prints the outcome."""

import sys
from typing import Annotated, NoReturn

import typer

from commands.backup import backup, restore_from
from commands.compiling import compile_pipelines
from commands.demo import demo
from commands.evaluate import evaluate
from commands.experts import experts_app
from commands.probe import probe
from commands.promote import promote
from commands.publications import export, publications_app
from commands.registry import registry_app
from commands.run import run_app
from commands.schedule import schedule_app
from commands.serving import keys_app, serve, status
from commands.smoke import smoke
from commands.submit import submit_app
from foreact import __version__
from foreact.blobs.folder import FULL
from foreact.errors import ForeactError

app = typer.Typer(name="foreact", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(demo)
app.add_typer(run_app, name="run")
app.command()(evaluate)
app.add_typer(experts_app, name="experts")
app.command()(serve)
app.command()(status)
app.command()(export)
app.command()(promote)
app.add_typer(publications_app, name="publications")
app.add_typer(submit_app, name="submit")
app.add_typer(schedule_app, name="schedule")
app.add_typer(registry_app, name="registry")
app.add_typer(keys_app, name="keys")
app.command()(backup)
app.command()(restore_from)
app.command()(smoke)
app.command()(probe)
app.command("compile")(compile_pipelines)


def _show_version(requested: bool) -> None:
    if requested:
        typer.echo(f"foreact {__version__}")
        raise typer.Exit


@app.callback()
def foreact(
    version: Annotated[bool, typer.Option("--version", help="Show the version", callback=_show_version)] = False,
) -> None:
    """Demand forecasts per store and item, from sales data to what planners see."""


def main() -> None:
    """Run the command line; a problem that the user can fix is one sentence and exit code 1."""
    try:
        app()
    except ForeactError as problem:
        _exit_with(str(problem))
    except OSError as error:
        # What no command expected: a disk that is full, or a place that is read-only or missing.
        if error.errno in FULL:
            _exit_with("The disk is full: free space and run again.")
        if error.filename is None:
            raise
        _exit_with(f"{str(error.filename)!r} cannot be read or written: {error.strerror}.")


def _exit_with(sentence: str) -> NoReturn:
    typer.echo(f"foreact: {sentence}", err=True)
    sys.exit(1)
