"""`foreact compile`: the pipelines as Kubeflow takes them."""

from pathlib import Path
from typing import Annotated

import typer

from commands.cluster import refuse_local_paths
from commands.parameters import Judging, Learning, Publishing, Tables, read_parameters, spread_options
from foreact.errors import ForeactError


@spread_options
def compile_pipelines(
    *,
    history: Annotated[
        str | None,
        typer.Option(
            metavar="URI", help="The sales of a place, as the default of runs that are started in Kubeflow's own pages"
        ),
    ] = None,
    tables: Tables,
    learning: Learning,
    publishing: Publishing,
    judging: Judging,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to write (default: compiled/)")] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if the files are out of date")] = False,
) -> None:
    """Write retrain-all.yaml and retrain-store.yaml, as Kubeflow Pipelines takes them.

    What is given of a place is filled in where a run is started; the committed files name no place.
    """
    from pipelines.compiling import FOLDER, compile_all, find_stale

    folder = out or FOLDER
    place = read_parameters(history, tables, learning, publishing, judging)
    if place and (check or folder == FOLDER):
        raise ForeactError("A place's own defaults belong in files of their own: give --out, and no --check.")
    refuse_local_paths(place)
    if check:
        stale = find_stale(folder)
        if stale:
            raise ForeactError(f"Out of date in {folder}: {', '.join(stale)}; run `foreact compile`.")
        return
    for path in compile_all(folder, place):
        typer.echo(path)
