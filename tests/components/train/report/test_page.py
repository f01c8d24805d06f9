"""The backtest page: what it draws, of one store and of several."""

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from components.train.report.page import write_report
from components.train.report.pictures import Picture
from components.train.worker import StoreOutcome, train_store_job
from foreact.forecasting import Accuracy
from foreact.reports.charts import draw_line_chart
from foreact.runs.trained import Trained
from tests.components.train.small import ITEMS, make_dataset, make_jobs


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, StoreOutcome]:
    data = make_dataset(tmp_path_factory.mktemp("data"), stores=2)
    return {store: train_store_job(job, None) for store, job in make_jobs(data).items()}


def read_page(folder: Path, outcomes: dict[str, StoreOutcome]) -> str:
    records = {store: each.record for store, each in outcomes.items()}
    trained = Trained(as_of=date(2026, 8, 28), horizon=7, source_version="s", margin=0.02, stores=records)
    pictures = {store: each.picture for store, each in outcomes.items() if each.picture is not None}
    write_report(folder / "report.html", trained, pictures)
    return (folder / "report.html").read_text()


def bigger(outcome: StoreOutcome) -> StoreOutcome:
    """Let a store have sold a hundred times as much."""
    drawn = outcome.picture
    assert drawn is not None
    return replace(outcome, picture=replace(drawn, total=replace(drawn.total, actual=100 * drawn.total.actual)))


def headings(page: str) -> list[str]:
    return re.findall("<h2>(.*?)</h2>", page)


def test_it_draws_stores_and_series(outcomes: dict[str, StoreOutcome], tmp_path: Path) -> None:
    # Each of the two is the one of something.
    first, second = outcomes
    inexact = outcomes[second].record.model_copy(update={"accuracy": Accuracy(wape=9.0)})
    page = read_page(tmp_path, {first: bigger(outcomes[first]), second: replace(outcomes[second], record=inexact)})
    kinds = [heading.split(":")[0] for heading in headings(page)]
    assert kinds == [
        "Error by days ahead",
        "Coverage by days ahead",
        "The largest store",
        "The store with the largest error",
        "The largest series",
        "The series with the largest error",
        "Every store",
        "Experts",
    ]
    assert page.count("<svg") == 6
    assert "http" not in page.replace("http://www.w3.org", "")


def test_it_draws_a_single_store_once(outcomes: dict[str, StoreOutcome], tmp_path: Path) -> None:
    page = read_page(tmp_path, {"S0": outcomes["S0"]})
    assert [heading for heading in headings(page) if "store" in heading] == ["The store: S0", "Every store"]
    assert page.count("<svg") == 5


def test_it_draws_one_series_once(outcomes: dict[str, StoreOutcome], tmp_path: Path) -> None:
    drawn = picture(outcomes, "S0")
    page = read_page(tmp_path, {"S0": replace(outcomes["S0"], picture=replace(drawn, worst=drawn.largest))})
    assert [heading.split(":")[0] for heading in headings(page) if "series" in heading] == ["The largest series"]


def picture(outcomes: dict[str, StoreOutcome], store: str) -> Picture:
    found = outcomes[store].picture
    assert found is not None
    return found


def test_the_largest_series_is_the_one_that_sold_most(outcomes: dict[str, StoreOutcome]) -> None:
    drawn = picture(outcomes, "S0")
    assert drawn.largest is not None
    assert drawn.worst is not None
    assert drawn.worst.name != drawn.largest.name
    others = drawn.total.actual.sum() - drawn.largest.actual.sum()
    assert drawn.largest.actual.sum() > others / (ITEMS - 1)


def test_leads_count_every_cell_that_is_known(outcomes: dict[str, StoreOutcome]) -> None:
    leads = picture(outcomes, "S0").leads
    assert set(leads["cells"]) == {ITEMS * leads["totals"][0]}
    assert np.all((leads["inside"] <= leads["cells"]) & (leads["totals_inside"] <= leads["totals"]))
    assert 0.6 < leads["inside"].sum() / leads["cells"].sum() <= 1


MINUS = "\N{MINUS SIGN}"


def test_a_chart_shows_what_is_below_zero() -> None:
    def ticks(values: list[float]) -> str:
        return "".join(re.findall("<text[^>]*>([^<]*)</text>", draw_line_chart([1, 2, 3], {"bias": values})))

    assert MINUS in ticks([-0.2, 0.1, 0.2])
    assert MINUS not in ticks([0.2, 0.1, np.nan])
