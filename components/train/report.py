"""The backtest page, and the figures of a whole run."""

from pathlib import Path

import numpy as np

from components.train.drift import Series, draw_drift, with_latest
from components.train.picture import Picture
from foreact.forecasting.baselines import NAIVE
from foreact.reports.charts import line_chart
from foreact.reports.page import Page
from foreact.trained import Trained, TrainedStore

SHOWN_STORES = 200
FIGURES = ("wape", "bias", "scaled_error", "coverage", "above_p90", "total_coverage")


def write_report(
    path: Path, trained: Trained, pictures: dict[str, Picture], kept: Series | None = None
) -> dict[str, float]:
    """Write the page; gives the run's figures."""
    stores = list(trained.stores.values())
    figures = _figures(stores)
    page = Page(f"Backtest of {len(stores):,} stores, data as of {trained.as_of}, {trained.horizon} days ahead")
    page.paragraph(
        "Every figure comes from windows that the model had not seen: it was fitted on the days before each origin, "
        "and is held against the days after it."
    )
    page.table(["figure", "value"], figures.items())
    if pictures:
        _draw_leads(page, pictures)
        _draw_stores(page, trained, pictures)
    draw_drift(page, with_latest(kept or {}, trained))
    page.heading("Every store")
    worst = sorted(stores, key=lambda s: -s.accuracy.get("wape", np.inf))
    if len(worst) > SHOWN_STORES:
        page.paragraph(f"The {SHOWN_STORES} with the largest error of {len(worst):,}.")
    page.table(
        ["store", "items", *FIGURES, "naive WAPE", "goes live", "why"],
        (
            [
                s.store,
                s.items,
                *(s.accuracy.get(name, float("nan")) for name in FIGURES),
                s.baselines.get(NAIVE, {}).get("wape", float("nan")),
                "new model" if s.promoted else s.fallback or "live model",
                s.reason,
            ]
            for s in worst[:SHOWN_STORES]
        ),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page.render(), encoding="utf-8")
    return figures


def _figures(stores: list[TrainedStore]) -> dict[str, float]:
    """Average over stores; what could not be measured does not count."""
    figures = {
        "stores": float(len(stores)),
        "promoted": float(sum(s.promoted for s in stores)),
        "fallbacks": float(sum(s.fallback is not None for s in stores)),
        "unusable_champions": float(sum(bool(s.champion_problem) for s in stores)),
    }
    for name in FIGURES:
        known = [s.accuracy[name] for s in stores if np.isfinite(s.accuracy.get(name, np.nan))]
        if known:
            figures[name] = float(np.mean(known))
    for name in ("wape", "bias", "coverage", "beats_naive"):
        known = [s.scorecard[name] for s in stores if np.isfinite(s.scorecard.get(name, np.nan))]
        if known:
            figures[f"live_{name}"] = float(np.mean(known))
    return figures


def _draw_leads(page: Page, pictures: dict[str, Picture]) -> None:
    page.heading("Error by days ahead")
    length = max(len(p.absolute) for p in pictures.values())
    sums = np.zeros((3, length))
    for picture in pictures.values():
        for row, values in zip(sums, (picture.absolute, picture.signed, picture.sold), strict=True):
            row[: len(values)] += values
    sold = np.maximum(sums[2], 1e-9)
    wape, bias = sums[0] / sold, sums[1] / sold
    page.chart(
        line_chart(np.arange(1, length + 1), {"WAPE": wape}, ylabel="share of units", xlabel="days ahead"),
        f"WAPE of items by days ahead: {wape[0]:.0%} on the first day, {wape[-1]:.0%} on the last; bias over all days "
        f"{(sums[1].sum() / sold.sum()):+.1%}, between {bias.min():+.1%} and {bias.max():+.1%} by day.",
    )


def _draw_stores(page: Page, trained: Trained, pictures: dict[str, Picture]) -> None:
    largest = max(pictures, key=lambda store: pictures[store].sold.sum())
    worst = max(pictures, key=lambda store: trained.stores[store].accuracy.get("wape", 0.0))
    for title, store in (("The largest store", largest), ("The store with the largest error", worst)):
        picture = pictures[store]
        inside = ((picture.actual >= picture.low) & (picture.actual <= picture.high))[np.isfinite(picture.actual)]
        page.heading(f"{title}: {store}")
        page.chart(
            line_chart(
                picture.dates,
                {"actual": picture.actual, "forecast": picture.mean},
                band=(picture.low, picture.high),
            ),
            f"Units a day of store {store}: {np.nansum(picture.actual):,.0f} sold, {picture.mean.sum():,.0f} forecast; "
            f"{inside.mean() if len(inside) else float('nan'):.0%} of the days within the 80 % interval.",
        )
