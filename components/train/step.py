"""Train every store of a dataset; workers read and write its objects, and what passes through here is their names."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from components.train.chain import fit_chain_model
from components.train.fanout import Task, TaskResult, open_workers
from components.train.holding import Comparison, FindPublished, find_held
from components.train.live import LiveChain, LiveStore
from components.train.losses import refuse_losses
from components.train.promotion import conclude_promotion, load_chosen, name_version
from components.train.report.drift import Series
from components.train.report.page import write_report
from components.train.report.pictures import Picture
from components.train.worker import StoreJob, StoreOutcome, train_store_job
from foreact.blobs.protocol import BlobStore
from foreact.data.dataset.stored import Dataset
from foreact.errors import ForeactError, name_examples
from foreact.packing import pack_model
from foreact.publications.contract import packed_chain_name
from foreact.publications.objects import put_object
from foreact.quantiles import name_quantiles, parse_quantiles
from foreact.runs.events import Events
from foreact.runs.process import TaskSize
from foreact.runs.trained import Promotion, Trained, TrainedChain, TrainedStore
from foreact.telemetry.tracing import current_log_context

# Memory of wide arrays, features and a booster by rows of a partition; measured, with a margin.
BYTES_A_ROW = 400
BASE_BYTES = 400 * 1024**2


def train(
    *,
    run: str,
    data: Dataset,
    trained: Path,
    report: Path,
    find_live: Callable[[list[str], date], dict[str, LiveStore]],
    find_chain: Callable[[], LiveChain] | None = None,
    margin: float,
    seed: int,
    quantiles: str,
    experts: str = "",
    max_fallback_share: float,
    find_published: FindPublished | None = None,
    events: Events,
    size: TaskSize,
    ray_address: str = "",
    earlier: Series | None = None,
    night: Mapping[str, Any] | None = None,
    accept_losses: bool = False,
    only: Collection[str] | None = None,
    instead: str = "",
    promotion: Promotion | None = None,
    find_chosen: Callable[[list[str], date], dict[str, LiveStore]] | None = None,
) -> dict[str, float]:
    """Train, decide and forecast, and return the figures of the whole run.

    Stores whose numbers depart beyond what is likely are held back, unless `find_published` is None. The chain's model
    is fitted first, unless `find_chain` returns the live one; `night` has the parameters of the last run of the whole
    chain. With `instead`, which says why, the stores are forecast by their live models alone. For a promotion nothing
    is trained either: the version that `find_chosen` returns is judged.
    """
    with events.step("train"):
        shares = parse_quantiles(quantiles)
        names = _find_experts(experts)
        data.require_sound()
        asked = {"quantiles": quantiles, "experts": experts, **(promotion.model_dump() if promotion else {})}
        events.parameters("train", {**data.info.parameters, **asked})
        stores = [store for store in data.stores if only is None or store in only]
        live = find_live(stores, data.info.as_of)
        if not instead:
            refuse_losses(data, live, night or {}, events, is_whole=find_chain is None, accept=accept_losses)
        chosen = load_chosen(data, find_chosen)
        blobs = data.place.connect()
        records: dict[str, TrainedStore] = {}
        comparisons: dict[str, Comparison] = {}
        pictures: dict[str, Picture] = {}

        def make_task(store: str, instead: str = instead) -> Task[StoreJob]:
            each = live.get(store, LiveStore())
            job = StoreJob(
                run=run,
                parcel=data.find_parcel(store),
                margin=margin,
                seed=seed,
                shares=shares,
                experts=names,
                champion=each.lay_down(blobs, run),
                champion_problem=each.problem,
                previous=each.previous,
                published=None if find_published is None else find_published(store),
                instead=instead,
                log_fields=current_log_context(),
            )
            if promotion is not None:
                job = replace(job, chosen=chosen[store].lay_down(blobs, run), is_forced=promotion.force)
            return Task(store, job, _estimate_memory(data, store))

        def keep_outcome(outcome: StoreOutcome) -> None:
            store = outcome.record.store
            records[store], comparisons[store] = outcome.record, outcome.comparison
            if outcome.picture is not None:
                pictures[store] = outcome.picture
            events.progress("train", len(records), len(stores), store)

        events.progress("train", 0, len(stores))
        with open_workers(1 if instead else len(stores), size=size, address=ray_address) as workers:
            if find_chain is None:
                memory = {store: _estimate_memory(data, store) for store in stores}
                chain = LiveChain(
                    fit_chain_model(data, workers, seed=seed, experts=names, memory=memory, events=events)
                )
            else:
                chain = _check_chain(find_chain(), data, events)
            tasks = (make_task(store) for store in stores)
            failures = _collect_results(workers.run(train_store_job, tasks, chain.model), keep_outcome)
            if failures:
                _judge_failures(failures, len(stores), max_fallback_share, promotion, events)
                tasks = (make_task(store, f"could not be trained: {why}") for store, why in failures.items())
                lost = _collect_results(workers.run(train_store_job, tasks, chain.model), keep_outcome)
                _refuse_lost_stores(lost)
        in_order = {store: comparisons[store] for store in stores}
        held = {} if find_published is None else find_held(in_order, data.info.spacing)
        outcome = Trained(
            as_of=data.info.as_of,
            horizon=data.info.horizon,
            spacing=data.info.spacing,
            source_version=data.info.source_version,
            margin=margin,
            chain=_lay_down_chain(chain, blobs, run),
            promotion=promotion,
            quantiles=name_quantiles(shares),
            stores={store: records[store].model_copy(update={"held": held.get(store, "")}) for store in stores},
        )
        outcome.write(trained)
        _note_unusable_champions(outcome.stores, events)
        _note_left_out(names, outcome.stores, events)
        figures = write_report(report, outcome, pictures, earlier)
        conclude_promotion(outcome, events)
        return figures


def _check_chain(chain: LiveChain, data: Dataset, events: Events) -> LiveChain:
    """Return the live model of the chain if it fits this run; say why where there is none."""
    problem = chain.problem
    if chain.model is not None:
        if chain.model.spacing is not data.info.spacing:
            problem = f"it forecasts {chain.model.spacing} data"
        elif chain.model.as_of > np.datetime64(data.info.as_of):
            problem = f"it knows the days up to {chain.model.as_of}, and this run's data end on {data.info.as_of}"
        elif chain.model.horizon < data.info.horizon:
            problem = f"it looks {chain.model.horizon} ahead, this run {data.info.horizon}"
    if chain.model is None or problem:
        events.note("train", f"without the chain's model: {problem or 'none is live yet'}")
        return LiveChain()
    which = f"version {chain.version}" if chain.version else f"of run {chain.run}"
    events.note("train", f"with the chain's model, {which}, of {chain.model.as_of}")
    return chain


def _lay_down_chain(chain: LiveChain, blobs: BlobStore, run: str) -> TrainedChain | None:
    """Write the chain's model that had a say, and describe it."""
    model = chain.model
    if model is None:
        return None
    return TrainedChain(
        as_of=model.as_of.item(),
        stores=model.stores,
        rows=model.rows,
        run=chain.run,
        version=chain.version,
        packed=put_object(blobs, packed_chain_name(run), chain.packed or pack_model(model.save)),
    )


def _collect_results(
    outcomes: Iterator[TaskResult[StoreOutcome]], keep: Callable[[StoreOutcome], None]
) -> dict[str, str]:
    failures = {}
    for outcome in outcomes:
        if outcome.result is None:
            failures[outcome.store] = outcome.failure
        else:
            keep(outcome.result)
    return failures


def _judge_failures(
    failures: dict[str, str], stores: int, max_share: float, promotion: Promotion | None, events: Events
) -> None:
    store, why = next(iter(failures.items()))
    if promotion is not None:
        raise ForeactError(f"{name_version(promotion, store)} cannot be promoted: {why}.")
    if len(failures) > max_share * stores:
        allowed = (
            f", more than the {max_share:.0%} that a run may replace by older models or baselines "
            "(--max-fallback-share)"
            if max_share
            else ""
        )
        raise ForeactError(
            f"{len(failures):,} of {stores:,} stores could not be trained{allowed}: "
            f"{name_examples(sorted(failures))}; {store!r}: {why}."
        )
    events.note(
        "train",
        f"warning: {name_examples(sorted(failures))} could not be trained and are forecast by older models or "
        f"baselines; {store!r}: {why}",
    )


def _refuse_lost_stores(lost: dict[str, str]) -> None:
    if lost:
        store, why = next(iter(lost.items()))
        raise ForeactError(f"Stores {name_examples(list(lost))} have neither a model nor a baseline: {store!r}: {why}.")


def _note_unusable_champions(records: dict[str, TrainedStore], events: Events) -> None:
    problems = {store: record.champion_problem for store, record in records.items() if record.champion_problem}
    if problems:
        first = next(iter(problems.values()))
        stores = name_examples(sorted(problems))
        events.note(
            "train", f"warning: live models of {stores} could not be used, new ones were judged without them: {first}"
        )


def _find_experts(text: str) -> tuple[str, ...]:
    """Return the names of the experts that the run asks for, or raise for one that is not installed."""
    from foreact.forecasting.experts.installed import find_expert, parse_experts

    names = parse_experts(text)
    for name in names:
        find_expert(name)
    return names


def _note_left_out(experts: tuple[str, ...], records: dict[str, TrainedStore], events: Events) -> None:
    for name in experts:
        left_out = {store: record.left_out[name] for store, record in records.items() if name in record.left_out}
        if left_out:
            store, why = next(iter(left_out.items()))
            events.note(
                "train",
                f"warning: the expert {name!r} is left out of {name_examples(sorted(left_out))}; {store!r}: {why}",
            )


def _estimate_memory(data: Dataset, store: str) -> int:
    return BASE_BYTES + BYTES_A_ROW * data.info.stores[store].rows
