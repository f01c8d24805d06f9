"""`foreact demo`: made-up data through the whole flow, to the dashboard."""

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer

from commands.options import Workspace
from commands.publications import open_reader
from commands.run import run_pipeline
from commands.serving import Port, serve_locally
from foreact.errors import ForeactError
from foreact.vocabulary import DATE, MEAN, P10, P90


def demo(
    workspace: Workspace,
    serve: Annotated[bool, typer.Option(help="Open the dashboard's server when the forecasts are there")] = True,
    port: Port = 8000,
) -> None:
    """Make up a retailer, retrain all its stores, and serve the dashboard of their forecasts."""
    from foreact.demo import write_demo
    from serving.address import listen_at

    if serve:
        # Checked before a minute of work, not after it.
        listen_at("127.0.0.1", port).close()
    folder = (workspace / "demo").absolute()
    typer.echo(f"Writing the sales of a made-up retailer to {_shorten_path(folder)}")
    try:
        files = write_demo(folder, date.today() - timedelta(days=1))
    except OSError as error:
        raise ForeactError(f"The workspace {str(workspace)!r} cannot be written: {error.strerror}.") from None
    run_pipeline(
        "retrain-all",
        {
            "history": str(files.history),
            "known": [str(path) for path in files.known],
            "horizon": files.horizon,
            # Made up anew, its past is another.
            "accept_departures": True,
        },
        workspace,
    )
    _show_week(workspace)
    if serve:
        serve_locally(workspace, port)


def _show_week(workspace: Path) -> None:
    """Print each store's next seven days."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    reader = open_reader(workspace)
    manifest = reader.read_current().manifest
    # Narrow enough for a week on a terminal of 80 characters.
    title = f"Units expected a day, with the 80 % interval (version {manifest.version})"
    view = Table(title=title, box=SIMPLE, padding=(0, 0, 0, 1))
    for store, entry in manifest.stores.items():
        week = reader.read_table(entry.objects["totals"]).slice(0, 7).to_pydict()
        if not view.columns:
            view.add_column("store", no_wrap=True)
            for day in week[DATE]:
                view.add_column(f"{day:%a}\n{day:%d %b}", justify="right", no_wrap=True)
        cells = zip(week[MEAN], week[P10], week[P90], strict=True)
        view.add_row(store, *(f"{mean:,.0f}\n[dim]{low:,.0f}-{high:,.0f}[/dim]" for mean, low, high in cells))
    Console().print(view)


def _shorten_path(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
