"""The first page that a run shows: what became of it, its figures beside last time's, the store that fares worst."""

import numpy as np

from foreact.errors import ForeactError, count_noun
from foreact.publications import Reader, StoreEntry, pick_stores
from foreact.reports.charts import draw_line_chart
from foreact.reports.page import Page
from foreact.runs.ledger import RunRecord
from foreact.steps import STEPS
from foreact.vocabulary import DATE, MEAN, P10, P90, UNITS

# What is said of a figure, and the step and the name that it has in the run's record.
FIGURES = {
    "WAPE by item and date": ("train", "wape"),
    "... of seasonal naive": ("train", "seasonal_naive_wape"),
    "... of the weekday mean": ("train", "weekday_mean_wape"),
    "... of smoothing": ("train", "smoothing_wape"),
    "... of last year": ("train", "last_year_wape"),
    "bias": ("train", "bias"),
    "inside p10 to p90": ("train", "coverage"),
    "store totals inside p10 to p90": ("train", "total_coverage"),
    "WAPE of what was published, since then": ("train", "live_wape"),
    "stores promoted": ("train", "promoted"),
    "live models kept": ("train", "kept"),
    "stores fallen back": ("train", "fallback"),
    "stores held back": ("train", "held"),
    "rows rejected": ("validate", "rejected_rows"),
    "rules broken": ("validate", "rules_broken"),
}
DAYS_SHOWN = np.timedelta64(300, "D")


def write_overview(record: RunRecord, previous: RunRecord | None, reader: Reader, links: dict[str, str]) -> str:
    """Write the page of a run that ended; what cannot be read is left out."""
    version = record.get_figure("publish", "version")
    page = Page(
        f"{record.pipeline}{f' of {record.store}' if record.store else ''}, {record.started_at:%Y-%m-%d %H:%M} UTC"
    )
    if record.state == "succeeded":
        stores = record.get_figure("publish", "stores_published")
        published = (
            f"{count_noun(int(stores), 'store')} published as version {version:.0f}" if stores and version else ""
        )
        page.paragraph(f"It succeeded: {published}." if published else "It succeeded.", "good")
    else:
        step = STEPS[record.failed_step].title if record.failed_step in STEPS else ""
        where = f" in step {step}" if step else ""
        why = record.sentence.rstrip(".") or "no reason is known"
        page.paragraph(f"It failed{where}: {why}.{'' if version else ' What was published stays as it was.'}", "bad")
    if record.parameters.get("version"):
        promotion = record.parameters
        by = f" by {promotion['by']}" if promotion.get("by") else ""
        page.paragraph(f"Promotion of version {promotion['version']}{by}: {promotion.get('reason', '')}")
    if links:
        page.links(links)
    _add_figures(page, record, previous)
    if version is not None:
        _add_worst_store(page, record, reader)
    page.heading("Steps")
    page.table(
        ["step", "state", "seconds"],
        [
            [STEPS[name].title if name in STEPS else name, step.state, "" if step.seconds is None else step.seconds]
            for name, step in record.steps.items()
        ],
    )
    return page.render()


def _add_figures(page: Page, record: RunRecord, previous: RunRecord | None) -> None:
    rows = [
        [label, value, "" if before is None else before]
        for label, (step, name) in FIGURES.items()
        if (value := record.get_figure(step, name)) is not None
        for before in [previous.get_figure(step, name) if previous else None]
    ]
    if rows:
        page.heading("Figures")
        page.table(["figure", "now", "last time"], rows)


def _add_worst_store(page: Page, record: RunRecord, reader: Reader) -> None:
    """Add the store of this run whose error is largest beside the seasonal naive forecast's, with its picture."""
    try:
        stores = reader.read_current().manifest.stores
        entries = pick_stores(stores, [record.store] if record.store else list(stores))
        own = {
            store: entry for store, entry in entries.items() if entry.run == record.id and _compare(entry) is not None
        }
        if not own:
            return
        store = max(own, key=lambda store: _compare(own[store]) or 0.0)
        entry = own[store]
        history = reader.read_table(entry.objects["history"]).to_pandas() if "history" in entry.objects else None
        totals = reader.read_table(entry.objects["totals"]).to_pandas()
    except ForeactError:
        return
    accuracy = entry.accuracy
    page.heading(store if record.store else f"The store that fares worst: {store}")
    page.paragraph(
        f"WAPE {accuracy['wape']:.3f} beside {accuracy['naive_wape']:.3f} of the seasonal naive forecast; "
        f"{entry.fallback or f'forecast by {entry.model}'}."
    )
    dates, sold = totals[DATE].to_numpy().astype("datetime64[D]"), np.full(len(totals), np.nan)
    means, low, high = (totals[name].to_numpy(float) for name in (MEAN, P10, P90))
    if history is not None:
        # The dates of the horizon a year ago are there too.
        past = history.groupby(DATE)[UNITS].sum()
        days = past.index.to_numpy().astype("datetime64[D]")
        recent = days > dates[0] - DAYS_SHOWN
        past, gap = past[recent], np.full(recent.sum(), np.nan)
        dates = np.concatenate([days[recent], dates])
        sold = np.concatenate([past.to_numpy(float), sold])
        means, low, high = (np.concatenate([gap, values]) for values in (means, low, high))
    chart = draw_line_chart(dates, {"sold": sold, "forecast": means}, band=(low, high))
    page.chart(chart, f"{store}: the store's total, sold and forecast, with the 80 % interval")


def _compare(entry: StoreEntry) -> float | None:
    wape, naive = entry.accuracy.get("wape"), entry.accuracy.get("naive_wape")
    return wape / naive if wape is not None and naive else None
