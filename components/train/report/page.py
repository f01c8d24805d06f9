"""The backtest page, and the figures of a whole run."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from components.train.report.drift import Series, add_latest, draw_drift
from components.train.report.pictures import Curve, Picture
from foreact.errors import count_noun
from foreact.forecasting.inputs.arrays import Doubles
from foreact.forecasting.judging.gate import GateOutcome
from foreact.reports.charts import draw_line_chart
from foreact.reports.page import Page
from foreact.runs.trained import RUN_FIGURES, Trained, TrainedChain, TrainedStore

SHOWN_STORES = 200
# The share of days that should lie inside an interval from p10 to p90.
PROMISED = 0.8


def write_report(
    path: Path, trained: Trained, pictures: dict[str, Picture], earlier: Series | None = None
) -> dict[str, float]:
    """Write the page and return the run's figures."""
    stores = list(trained.stores.values())
    figures = trained.average_figures()
    page = Page(
        f"Backtest of {len(stores):,} stores, data as of {trained.as_of}, "
        f"{count_noun(trained.horizon, trained.spacing.period)} ahead"
    )
    page.paragraph(
        "Every figure comes from windows that the model had not seen: it was fitted on the dates before each origin, "
        "and is compared with the dates after it."
    )
    page.table(["figure", "value"], figures.items())
    if pictures:
        _draw_leads(page, trained.spacing.period, pictures.values())
        _draw_curves(page, trained, pictures)
    draw_drift(page, add_latest(earlier or {}, trained))
    page.heading("Every store")
    worst = sorted(stores, key=lambda s: -_or_nan(s.accuracy.wape, np.inf))
    if len(worst) > SHOWN_STORES:
        page.paragraph(f"The {SHOWN_STORES} with the largest error of {len(worst):,}.")
    page.table(
        ["store", "items", *(name.replace("_", " ") for name in RUN_FIGURES), "naive wape", "goes live", "why"],
        (
            [
                s.store,
                s.items,
                *(_or_nan(getattr(s.accuracy, name)) for name in RUN_FIGURES),
                _or_nan(s.naive_wape),
                "new model" if s.outcome is GateOutcome.PROMOTED else s.fallback or "live model",
                s.reason,
            ]
            for s in worst[:SHOWN_STORES]
        ),
    )
    _list_experts(page, trained.chain, worst[:SHOWN_STORES])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page.render(), encoding="utf-8")
    return figures


def _list_experts(page: Page, chain: TrainedChain | None, stores: Sequence[TrainedStore]) -> None:
    """Show each expert's share of every store's totals and its error alone, and what the chain's model knew."""
    names = list(dict.fromkeys(name for store in stores for name in (*store.experts, *store.left_out)))
    if not names:
        return
    page.heading("Experts")
    page.paragraph(
        "Each store is forecast by several experts, followed as far as its backtest and the chain's say. In brackets: "
        "the scaled error of each alone; the combination's is beside the store. An expert with no share was dropped "
        "because others made its errors and fewer."
    )
    if chain is not None:
        page.paragraph(
            f"The chain's model, as of {chain.as_of}, was fitted to {chain.rows:,} rows of "
            f"{count_noun(chain.stores, 'store')}"
            + (f"; it is the live version {chain.version}." if chain.version else " by this run.")
        )
    page.table(
        ["store", "scaled error", *(name.replace("_", " ") for name in names)],
        (
            [
                store.store,
                _or_nan(store.challenger_accuracy.scaled_error),
                *(
                    f"{store.experts[name].share:.0%} ({store.experts[name].scaled_error:.3f})"
                    if name in store.experts
                    else store.left_out.get(name, "skipped")
                    for name in names
                ),
            ]
            for store in stores
        ),
    )


def _or_nan(figure: float | None, otherwise: float = float("nan")) -> float:
    """Return a figure, or the substitute for one that was not measured."""
    return otherwise if figure is None else figure


def _draw_leads(page: Page, period: str, pictures: Collection[Picture]) -> None:
    length = max(len(picture.leads["sold"]) for picture in pictures)
    sums: dict[str, Doubles] = defaultdict(lambda: np.zeros(length))
    for picture in pictures:
        for name, values in picture.leads.items():
            sums[name][: len(values)] += values
    ahead = np.arange(1, length + 1)
    sold = np.maximum(sums["sold"], 1e-9)
    wape, bias = sums["absolute"] / sold, sums["signed"] / sold
    page.heading(f"Error by {period}s ahead")
    page.chart(
        draw_line_chart(ahead, {"WAPE": wape}, ylabel="share of units", xlabel=f"{period}s ahead"),
        f"WAPE of items by {period}s ahead: {wape[0]:.0%} on the first, {wape[-1]:.0%} on the last; bias over all "
        f"{(sums['signed'].sum() / sold.sum()):+.1%}, between {bias.min():+.1%} and {bias.max():+.1%} by {period}.",
    )
    page.heading(f"Coverage by {period}s ahead")
    items = sums["inside"] / np.maximum(sums["cells"], 1)
    totals = sums["totals_inside"] / np.maximum(sums["totals"], 1)
    page.chart(
        draw_line_chart(
            ahead, {"items": items, "stores": totals}, ylabel="share inside", xlabel=f"{period}s ahead", level=PROMISED
        ),
        f"Share of {period}s inside the 80 % interval by {period}s ahead: between {items.min():.0%} and "
        f"{items.max():.0%} for items, between {totals.min():.0%} and {totals.max():.0%} for stores' totals. Items "
        "that sell few units lie inside more often, because half a unit cannot be sold.",
    )


def _draw_curves(page: Page, trained: Trained, pictures: dict[str, Picture]) -> None:
    largest = max(pictures.values(), key=lambda picture: np.nansum(picture.total.actual))
    worst = pictures[max(pictures, key=lambda store: trained.stores[store].accuracy.wape or 0.0)]
    totals = [("The largest store", largest.total), ("The store with the largest error", worst.total)]
    curves = [("The store", largest.total)] if len(pictures) == 1 else totals
    by_item = [(one.largest, one.worst) for one in pictures.values() if one.largest and one.worst]
    if by_item:
        curves.append(("The largest series", max((one for one, _ in by_item), key=lambda one: np.nansum(one.actual))))
        curves.append(("The series with the largest error", max((one for _, one in by_item), key=_relative_error)))
    drawn, period = set(), trained.spacing.period
    for title, curve in curves:
        if curve.name in drawn:
            continue
        drawn.add(curve.name)
        inside = ((curve.actual >= curve.low) & (curve.actual <= curve.high))[np.isfinite(curve.actual)]
        page.heading(f"{title}: {curve.name}")
        page.chart(
            draw_line_chart(
                curve.dates, {"actual": curve.actual, "forecast": curve.mean}, band=(curve.low, curve.high)
            ),
            f"Units a {period} of {curve.name}: {np.nansum(curve.actual):,.0f} sold, {curve.mean.sum():,.0f} forecast; "
            f"{inside.mean() if len(inside) else float('nan'):.0%} of the {period}s within the 80 % interval.",
        )


def _relative_error(curve: Curve) -> float:
    return float(np.nansum(np.abs(curve.mean - curve.actual)) / max(np.nansum(curve.actual), 1e-9))
