"""The ingest step as Kubeflow Pipelines shows it."""

from kfp import dsl

from components.declaring import declare_component


@declare_component
def ingest(
    history: str,
    dataset: dsl.Output[dsl.Dataset],
    data: dsl.Output[dsl.Markdown],
    data_figures: dsl.Output[dsl.Metrics],
    known: list[str],
    columns: str,
    country: str,
    as_of: str,
    spacing: str,
    horizon: int,
    missing: str,
    stockouts: str,
    store: str,
    full: bool,
    cpu: str,
    memory: str,
) -> None:
    """Read the history and the known tables and write one partition a store; nothing is ever held whole.

    Args:
        history: The sales history: a file, a folder, a glob or a Blob prefix; CSV or Parquet.
        known: The tables of what is known ahead, by any of date, store and item.
        columns: Our names and the files' names, as in date=Day,store=Shop.
        country: The country or subdivision whose holidays count, as in DE or DE-BY; empty: what stores' attributes say.
        as_of: The last day that may be used; empty: the last day of the history.
        spacing: Whether forecasts are daily, weekly or monthly; auto: as the history's dates are.
        horizon: How many days, weeks or months ahead are forecast; 0: 28 days, 8 weeks or 6 months.
        missing: What a missing row within a series' life is: zero, unknown, or auto (zero if the store reported
            anything that day, or sells on few days; else unknown).
        stockouts: Whether zeros that a fast item's rate makes next to impossible count as days without demand (keep)
            or as sold out (doubt).
        store: Take in this store alone; empty: all.
        full: Whether everything is read anew, even files that were read before.
        cpu: How many cores the step has.
        memory: How much memory the step has; what sorting cannot hold in a part of it spills to disk.

    Returns:
        dataset: The name of the dataset's record in object storage: one partition a store, and rejected rows.
        data: Rows, stores, items, dates, columns and what was left out.
        data_figures: The same as figures.
    """
    from functools import partial
    from pathlib import Path

    from components.ingest.step import ingest as step
    from foreact.blobs import BlobPlace, open_url
    from foreact.context import RunContext
    from foreact.errors import ForeactError
    from foreact.runs.process import TaskSize, configure_task

    settings, events = configure_task(store)
    if RunContext.read().pipeline == "retrain-store" and not store:
        raise ForeactError("retrain-store is asked for without a store: name the one to retrain.")
    size = TaskSize.parse(cpu, memory)
    result = step(
        history=history,
        known=known,
        columns=columns,
        country=country,
        as_of=as_of,
        spacing=spacing,
        horizon=horizon,
        missing=missing,
        stockouts=stockouts,
        store=store,
        full=full,
        code_version=RunContext.read().code_version,
        place=BlobPlace.read(settings),
        open_url=partial(open_url, settings=settings),
        memory=f"{min(1500, size.memory * 4 // 10**7)}MB",
        threads=size.cpus,
        events=events,
    )
    Path(dataset.path).write_text(result.dataset.write_record(), encoding="utf-8")
    Path(data.path).write_text(result.summary, encoding="utf-8")
    events.figures("ingest", result.metrics)
    for name, value in result.metrics.items():
        data_figures.log_metric(name, value)
