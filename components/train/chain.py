"""The chain's model: fitted to a sample of all stores' rows before any store is trained."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from components.train.fanout import Task, Workers
from foreact.data.dataset.stored import Dataset
from foreact.runs.events import Events

if TYPE_CHECKING:
    from foreact.data.dataset.parcel import StoredParcel
    from foreact.forecasting.experts.chain import ChainFit, ChainModel, ChainRows
    from foreact.forecasting.experts.evidence import Evidence

# Rows to fit on, whatever the chain's size, and the most stores that they are drawn from.
ROWS = 300_000
# Memory of so many rows, described, arranged and binned; measured, with a margin.
FIT_BYTES = 1024**3
MOST_STORES = 400
# The stores whose backtests weigh the experts for those with little evidence: two, or more while their series are few.
WEIGHING_STORES = (2, 60)
WEIGHING_SERIES = 15_000


@dataclass(frozen=True)
class ChainJob:
    """One store's data, how many rows to draw from it, and the installed experts to weigh."""

    parcel: "StoredParcel"
    rows: int
    seed: int
    # The periods at the end that the fit for backtests must not know.
    held_back: int
    experts: tuple[str, ...] = ()


@dataclass(frozen=True)
class FitJob:
    """The rows of all stores to fit one boosting on."""

    rows: "Sequence[ChainRows]"
    seed: int


def fit_chain_model(
    data: Dataset,
    workers: Workers,
    *,
    seed: int,
    experts: tuple[str, ...],
    memory: dict[str, int],
    events: Events,
) -> "ChainModel | None":
    """Fit the chain's model and weigh it against the other experts; None where there is nothing to learn from."""
    from foreact.forecasting.experts.chain import ChainModel

    stores = _spread(data.stores, MOST_STORES)
    total = sum(data.info.stores[store].rows for store in stores)
    places = {store: place for place, store in enumerate(data.stores)}
    held_back = _count_held_back(data)

    def make_tasks(chosen: Sequence[str]) -> Iterator[Task[ChainJob]]:
        for store in chosen:
            rows = -(-ROWS * data.info.stores[store].rows // max(total, 1))
            job = ChainJob(data.find_parcel(store), rows, seed + places[store], held_back, experts)
            yield Task(store, job, memory[store])

    events.note("train", f"the chain's model reads {len(stores):,} of {len(data.stores):,} stores")
    drawn = {each.store: each.result for each in workers.run(draw_rows_job, make_tasks(stores))}
    # In the order of the stores, whichever was read first.
    parts = [part for store in stores if (part := drawn.get(store)) is not None]
    rows = {
        "final": [rows for rows, _ in parts if rows is not None],
        "earlier": [rows for _, rows in parts if rows is not None],
    }
    fits = {}
    for each in workers.run(fit_rows_job, (Task(name, FitJob(rows[name], seed), FIT_BYTES) for name in rows)):
        if each.failure:
            events.note("train", f"warning: without the chain's model, whose fit failed: {each.failure}")
            return None
        fits[each.store] = each.result
    final, earlier = fits["final"], fits["earlier"]
    if final is None:
        return None
    model = ChainModel(
        as_of=np.datetime64(data.info.as_of, "D"),
        horizon=data.info.horizon,
        spacing=data.info.spacing,
        stores=len(stores),
        rows=sum(len(part.target) for part in rows["final"]),
        final=final,
        earlier=earlier,
    )
    weighing = _spread(data.stores, _count_weighing(data)) if len(data.stores) > 1 else []
    found = {each.store: each.result for each in workers.run(weigh_experts_job, make_tasks(weighing), model)}
    weighed = {store: evidence for store in weighing if (evidence := found.get(store)) is not None}
    return replace(model, evidence=weighed)


def draw_rows_job(job: ChainJob, _: Any) -> "tuple[ChainRows | None, ChainRows | None]":
    """Draw one store's rows for the fit and for the earlier fit."""
    from foreact.forecasting.training import draw_chain_rows

    return draw_chain_rows(job.parcel.read().make_panel(), job.rows, job.seed, job.held_back)


def fit_rows_job(job: FitJob, _: Any) -> "ChainFit | None":
    """Fit the boosting to the rows of all stores."""
    from foreact.forecasting.experts.chain import fit_chain

    return fit_chain(job.rows, job.seed)


def weigh_experts_job(job: ChainJob, model: "ChainModel") -> "Evidence | None":
    """Return what one store's backtest says of the experts."""
    from foreact.forecasting.training import weigh_experts

    return weigh_experts(job.parcel.read().make_panel(), model, job.seed, job.experts)


def _count_held_back(data: Dataset) -> int:
    from foreact.forecasting.training import count_held_back

    info = data.info
    first = min(store.first for store in info.stores.values())
    (periods,) = info.spacing.count_periods(np.datetime64(first), np.array([info.as_of], "datetime64[D]")) + 1
    return count_held_back(int(periods), info.horizon, info.spacing)


def _count_weighing(data: Dataset) -> int:
    series = sum(store.items for store in data.info.stores.values()) / len(data.stores)
    return int(np.clip(WEIGHING_SERIES / max(series, 1), *WEIGHING_STORES))


def _spread(stores: Sequence[str], most: int) -> list[str]:
    """Return at most so many stores, evenly from all of them."""
    step = max(1.0, len(stores) / most)
    return [stores[int(place * step)] for place in range(min(most, len(stores)))]
