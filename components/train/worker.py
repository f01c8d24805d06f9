"""The training of one store, from its job to its objects.

It reads what it needs and writes what comes out by itself, so it may run on another machine.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from components.train.holding import Comparison, PublishedNumbers, compare_numbers
from components.train.report.pictures import Picture, draw_store
from foreact.errors import ForeactError
from foreact.packing import unpacked
from foreact.publications.contract import (
    Kind,
    PublishedObject,
    StoreTables,
    challenger_name,
    object_name,
    packed_model_name,
)
from foreact.publications.objects import put_object, put_objects
from foreact.publications.reader import Reader
from foreact.publications.sealing import BrokenPublication
from foreact.quantiles import ALWAYS, name_quantiles
from foreact.runs.process import configure_logging
from foreact.runs.trained import TrainedStore, pack_trained
from foreact.telemetry.tracing import log_context
from foreact.vocabulary import DATE, ITEM, MEAN, P10, P90

if TYPE_CHECKING:
    from foreact.data.dataset.parcel import StoredParcel
    from foreact.forecasting import Accuracy, ChainModel, Decision, PublishedForecast, Score, StoreModel, StoreResult
    from foreact.forecasting.inputs.panel import Panel

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RegisteredModel:
    """A registered model: its version, the run that trained it, and where its files lie, packed."""

    version: str | None
    run: str
    packed: PublishedObject


@dataclass(frozen=True)
class StoreJob:
    """Where one store's data, its champion and its earlier publications are, and what to do with them."""

    run: str
    parcel: "StoredParcel"
    margin: float
    seed: int
    # Which quantiles are published: the shares of outcomes below them.
    shares: tuple[float, ...] = ALWAYS
    # Names of installed experts, which every worker finds in its own environment.
    experts: tuple[str, ...] = ()
    champion: RegisteredModel | None = None
    # Why the champion cannot be used; empty while it can.
    champion_problem: str = ""
    # Earlier forecasts as published, by their last day of data.
    previous: dict[date, PublishedObject] = field(default_factory=dict)
    # What is published now; None: nothing, or nobody asks whether the new numbers depart from it.
    published: PublishedNumbers | None = None
    # Set when the store is not trained: why not, as in "could not be trained: out of memory"; its champion or a
    # simple method is used instead.
    instead: str = ""
    # A registered version that is to be judged in place of a new model, and whether it goes live even if it loses.
    chosen: RegisteredModel | None = None
    is_forced: bool = False
    # The run's fields in log lines, which a worker on another machine does not know.
    log_fields: dict[str, str] = field(default_factory=dict)

    def connect(self) -> Reader:
        """Return the reader of all that the job names."""
        return Reader(self.parcel.place.connect())


@dataclass(frozen=True)
class StoreOutcome:
    """One store's record, which names its objects, and what is to be known of all stores together."""

    record: TrainedStore
    comparison: Comparison
    picture: Picture | None


def train_store_job(job: StoreJob, chain: "ChainModel | None") -> StoreOutcome:
    """Train one store, or fall back if that failed before; log lines name the run and the store."""
    if not logging.getLogger().handlers:
        configure_logging()
    with log_context(**{**job.log_fields, "store": job.parcel.store}):
        return _train_store(job, chain)


def _train_store(job: StoreJob, chain: "ChainModel | None") -> StoreOutcome:
    from components.train.objects import make_objects
    from foreact.forecasting import ChampionError, GateOutcome, fall_back

    panel = job.parcel.read().make_panel()
    champion, problem = _load_champion(job)
    if job.instead:
        try:
            result = fall_back(panel, champion, job.instead, chain, job.shares)
        except Exception:
            if champion is None:
                raise
            log.exception("store %r: its champion failed too", panel.store)
            champion, problem = None, _describe_failure(job)
            result = fall_back(panel, None, job.instead, chain, job.shares)
    else:
        find_result = _choose_work(job, panel, chain)
        try:
            result = find_result(champion=champion)
        except ChampionError:
            log.exception("store %r: its champion failed, the new model is judged without it", panel.store)
            champion, problem = None, _describe_failure(job)
            result = find_result()
        if job.is_forced:
            result = replace(result, decision=_force_decision(result.decision))
    decision = result.decision
    if decision.outcome is GateOutcome.FALLBACK and result.model is not None:
        # A simple method has beaten the live model as well, and takes its place.
        champion = None
    maker = _find_maker(job, decision, champion)
    record = TrainedStore(
        store=panel.store,
        items=len(panel.items),
        data_hash=job.parcel.info.sha256,
        outcome=decision.outcome,
        reason=_prefix_problem(problem, decision.reason),
        champion_run=maker.run if maker else "",
        champion_version=maker.version if maker else None,
        champion_problem=problem,
        fallback=decision.fallback and _prefix_problem(problem, decision.fallback),
        accuracy=_published_accuracy(decision, champion),
        challenger_accuracy=decision.accuracy,
        champion_accuracy=decision.champion_accuracy,
        baselines=dict(decision.baselines),
        experts=result.backtest.experts,
        shares=_published_shares(result, champion),
        left_out=result.left_out,
        scorecard=_overall_score(result.scorecard),
        attributes=panel.store_attributes,
    )
    objects = make_objects(panel, result)
    # What is registered already is not registered again.
    trained = None if result.model is None or job.chosen else result.model.save
    reading = job.parcel.info.model_copy(update={"tables": []})
    return StoreOutcome(
        record=_write_objects(job, record, objects, maker, trained and pack_trained(trained, reading)),
        comparison=compare_numbers(panel.spacing, objects, job.published, job.connect()),
        picture=draw_store(result),
    )


def _write_objects(
    job: StoreJob,
    record: TrainedStore,
    objects: dict[Kind, bytes],
    maker: RegisteredModel | None,
    trained: bytes | None,
) -> TrainedStore:
    """Write a store's objects and models, and return its record with their names."""
    from components.train.objects import make_outline
    from foreact.forecasting import GateOutcome

    reader, store = job.connect(), job.parcel.store
    names = {kind: object_name(job.run, store, kind) for kind in objects}
    model, challenger = packed_model_name(job.run, store), challenger_name(job.run, store)
    contents = {names[kind]: data for kind, data in objects.items()}
    if maker is not None and maker.run:
        contents[model] = reader.read_object(maker.packed)
    elif record.outcome is GateOutcome.PROMOTED:
        challenger = model
    if trained is not None:
        contents[challenger] = trained
    written = put_objects(reader.store, contents)
    published = {kind: written[name] for kind, name in names.items()}
    tables = StoreTables(spacing=job.parcel.info.spacing, quantiles=name_quantiles(job.shares), objects=published)
    outline = make_outline(store, tables, objects)
    if outline is not None:
        published["outline"] = put_object(reader.store, object_name(job.run, store, "outline"), outline)
    return record.model_copy(
        update={
            "objects": published,
            "model": written.get(model),
            "challenger": written[challenger] if trained is not None else None,
        }
    )


def _find_maker(job: StoreJob, decision: "Decision", champion: "StoreModel | None") -> RegisteredModel | None:
    """Return the registered model that makes the published numbers; None where a new model or a baseline does."""
    from foreact.forecasting import GateOutcome

    if decision.outcome is GateOutcome.PROMOTED:
        return job.chosen
    return None if champion is None else job.champion


def _choose_work(job: StoreJob, panel: "Panel", chain: "ChainModel | None") -> "Callable[..., StoreResult]":
    """Return what judges the chosen version, or a new model, against the champion that it is given."""
    from foreact.forecasting import judge_registered, train_store

    work: Callable[..., StoreResult]
    if job.chosen:
        try:
            work = partial(judge_registered, model=_read_model(job, job.chosen))
        except ForeactError as error:
            log.warning("%s", error)
            raise ForeactError("it cannot be read by this software") from None
    else:
        work = partial(train_store, seed=job.seed, experts=job.experts)
    return partial(work, panel, chain=chain, margin=job.margin, shares=job.shares, previous=_read_previous(job))


def _force_decision(decision: "Decision") -> "Decision":
    from foreact.forecasting import GateOutcome

    if decision.outcome is GateOutcome.PROMOTED:
        return decision
    return replace(
        decision, outcome=GateOutcome.PROMOTED, reason=f"by force, although {decision.reason}", fallback=None
    )


def _load_champion(job: StoreJob) -> "tuple[StoreModel | None, str]":
    """Return the champion, or why it cannot be used."""
    from foreact.forecasting.model import OtherFormat

    if job.champion is None:
        return None, job.champion_problem
    try:
        return _read_model(job, job.champion), ""
    except BrokenPublication as error:
        return None, str(error)
    except OtherFormat as error:
        return None, (
            f"The live model, {_name_champion(job)}, cannot be judged beside the new one: {error}. The store is "
            "retrained from its data and columns."
        )
    except ForeactError as error:
        log.warning("%s", error)
        return None, f"The live model, {_name_champion(job)}, cannot be read by this software."


def _read_model(job: StoreJob, model: RegisteredModel) -> "StoreModel":
    from foreact.forecasting import StoreModel

    with unpacked(job.connect().read_object(model.packed)) as folder:
        return StoreModel.load(folder)


def _describe_failure(job: StoreJob) -> str:
    return f"The live model, {_name_champion(job)}, failed on the new data."


def _name_champion(job: StoreJob) -> str:
    version = job.champion and job.champion.version
    return f"version {version}" if version else f"of run {job.champion.run if job.champion else ''}"


def _prefix_problem(problem: str, text: str) -> str:
    return f"{problem} Without it: {text}" if problem else text


def _read_previous(job: StoreJob) -> "list[PublishedForecast]":
    """Read the earlier forecasts; what is damaged or gone is not compared."""
    reader = job.connect()
    published = []
    for as_of, each in job.previous.items():
        with suppress(BrokenPublication):
            published.append(_parse_forecast(as_of, reader.read_object(each)))
    return published


def _parse_forecast(as_of: date, data: bytes) -> "PublishedForecast":
    from foreact.data.dataset import arrays
    from foreact.forecasting import PublishedForecast

    table = arrays.read_table(data)
    columns = {name: table[name].to_numpy() for name in (ITEM, DATE, MEAN, P10, P90)}
    return PublishedForecast(
        as_of=np.datetime64(as_of, "D"),
        items=columns[ITEM].astype(np.str_),
        dates=columns[DATE].astype("datetime64[D]"),
        mean=columns[MEAN].astype(np.float64),
        p10=columns[P10].astype(np.float64),
        p90=columns[P90].astype(np.float64),
    )


def _published_accuracy(decision: "Decision", champion: "StoreModel | None") -> "Accuracy":
    """Return the accuracy of what made the published numbers."""
    from foreact.forecasting import Accuracy, GateOutcome
    from foreact.forecasting.judging.gate import best_simple

    if decision.outcome is GateOutcome.PROMOTED:
        return decision.accuracy
    if champion is not None:
        return decision.champion_accuracy
    return decision.baselines.get(best_simple(decision.baselines), Accuracy())


def _published_shares(result: "StoreResult", champion: "StoreModel | None") -> dict[str, float]:
    """Return each expert's share of the totals that are published."""
    from foreact.forecasting import GateOutcome
    from foreact.forecasting.judging.gate import best_simple

    if result.decision.outcome is GateOutcome.PROMOTED and result.model is not None:
        return result.model.weights.list_shares()
    if champion is not None:
        return champion.weights.list_shares()
    return {best_simple(result.decision.baselines).value: 1.0}


def _overall_score(scores: "list[Score]") -> dict[str, float]:
    """Return the latest publication's score over all of its days so far."""
    whole = [score for score in scores if score.lead == 0]
    if not whole:
        return {}
    latest = max(whole, key=lambda score: score.published_as_of)
    figures = {"wape": latest.wape, "bias": latest.bias, "coverage": latest.coverage, "beats_naive": latest.beats_naive}
    return {name: value for name, value in figures.items() if np.isfinite(value)}
