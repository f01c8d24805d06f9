"""`foreact evaluate`: how accurate the forecaster would have been."""

from pathlib import Path
from typing import Annotated

import typer

from commands.options import Workspace, name_caller
from commands.parameters import Learning, Tables, read_parameters, require_experts, spread_options
from commands.stopping import stop_with_sentence
from foreact.errors import ForeactError, count_noun


@spread_options
def evaluate(
    *,
    history: Annotated[str, typer.Option(metavar="URI", help="Sales, as for `foreact run`")],
    tables: Tables,
    learning: Learning,
    store: Annotated[str, typer.Option(metavar="ID", help="Only this store")] = "",
    version: Annotated[
        str,
        typer.Option(
            metavar="N", help="With --store: this registered version of its model, beside what would be trained now"
        ),
    ] = "",
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write the page with the plots")] = None,
    workspace: Workspace,
) -> None:
    """Backtest a history beside the seasonal baselines; log to MLflow, print the table, publish nothing."""
    from foreact.runs import defaults
    from foreact.runs.events import Events
    from foreact.settings import PipelineSettings
    from pipelines.evaluation.backtest import backtest_history
    from pipelines.evaluation.tracking import log_to_mlflow
    from pipelines.local import make_scratch

    if version and not store:
        raise ForeactError("--version is one store's: name the store with --store.")
    options = read_parameters(history, tables, learning)
    require_experts(options)
    parameters = {
        "columns": "",
        "country": "",
        "as_of": "",
        "spacing": defaults.SPACING,
        "horizon": defaults.HORIZON,
        "missing": defaults.MISSING,
        "stockouts": defaults.STOCKOUTS,
        "seed": defaults.SEED,
        "experts": defaults.EXPERTS,
        "store": store,
        "version": version,
        **options,
    }
    settings = PipelineSettings(workspace=workspace)
    with stop_with_sentence("Stopped; the backtest is not complete."), make_scratch() as folder:
        events = Events(folder / "events.jsonl")
        evaluation = backtest_history(**parameters, scratch=folder, settings=settings, events=events)
        if report is not None:
            report.write_bytes(evaluation.report.read_bytes())
        run = log_to_mlflow(
            evaluation, {name: str(value) for name, value in parameters.items()}, settings, name_caller()
        )
    _print_table(evaluation.list_rows())
    typer.echo(
        f"{count_noun(len(evaluation.trained.stores), 'store')}, data as of {evaluation.trained.as_of}; "
        f"MLflow run {run}"
    )


def _print_table(rows: list[dict[str, float | str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("forecaster", *(name for name in rows[0] if name != "forecaster"))
    for row in rows:
        table.add_row(*(f"{cell:.4f}" if isinstance(cell, float) else cell for cell in row.values()))
    Console().print(table)
