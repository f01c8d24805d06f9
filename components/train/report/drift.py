"""The accuracy of past publications, run after run, and the stores whose accuracy has drifted."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from foreact.errors import ForeactError
from foreact.reports.charts import draw_line_chart
from foreact.reports.page import Page
from foreact.runs.trained import Trained
from foreact.settings import PipelineSettings
from foreact.telemetry.scorecards import Point, find_drift, read_series

log = logging.getLogger(__name__)
Series = Mapping[str, Sequence[Point]]
DRAWN_FIGURES = {"wape": "WAPE", "bias": "bias", "coverage": "coverage of the 80 % interval"}
SHOWN_STORES = 50


def read_earlier_series(settings: PipelineSettings) -> dict[str, list[Point]]:
    """Read the series that earlier runs stored; without them a training goes on."""
    from foreact.blobs import connect

    try:
        return read_series(connect(settings, patience=10.0))
    except ForeactError as problem:
        log.warning("the scorecards of earlier runs cannot be read: %s", problem)
        return {}


def add_latest(earlier: Series, trained: Trained) -> dict[str, list[Point]]:
    """Add what this training found, for its own stores only."""
    series = {}
    for store, record in trained.stores.items():
        before = [point for point in earlier.get(store, ()) if point.as_of < trained.as_of]
        latest = [Point(trained.as_of, record.scored_figures)] if record.scorecard else []
        if before or latest:
            series[store] = [*before, *latest]
    return series


def draw_drift(page: Page, series: Series) -> None:
    """Chart the mean over stores by day of data, and list the stores that sustained drift marks for retraining."""
    days = sorted({point.as_of for points in series.values() for point in points})
    if not days:
        return
    page.heading("How publications did, by day of data")
    lines = {}
    for name, label in DRAWN_FIGURES.items():
        by_day = [
            [
                point.figures[name]
                for points in series.values()
                for point in points
                if point.as_of == day and name in point.figures
            ]
            for day in days
        ]
        lines[label] = np.array([np.mean(values) if values else np.nan for values in by_day])
    page.chart(
        draw_line_chart(np.array(days, "datetime64[D]"), dict(lines), ylabel="share"),
        "Means over stores of what was published, compared with the actuals since; latest: "
        + ", ".join(f"{label} {values[-1]:.2f}" for label, values in lines.items())
        + ".",
    )
    drift = find_drift(series)
    if drift:
        page.heading("Marked for retraining")
        rows = [[each.store, each.figure, each.value, each.days] for each in drift[:SHOWN_STORES]]
        page.table(["store", "figure", "latest", "days of data out of bounds"], rows)
