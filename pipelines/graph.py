"""The graph of both pipelines: retrain-store is retrain-all with a store."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from kfp import dsl

from components.report.component import report
from foreact.runs import defaults
from foreact.steps import ONE_POD, REPORT, Step
from pipelines.chain import run_steps
from pipelines.one_pod.component import retrain_in_one_pod
from pipelines.platform import set_task_options

WEEK = 7 * 24 * 3600
DEADLINE = 4 * 3600

DESCRIPTIONS = {
    "retrain-all": "Retrain every store on fresh data and publish the forecasts of those models that pass the gate. "
    "Its pods need the service account foreact-pipelines.",
    "retrain-store": "Retrain one store on fresh data and publish its forecasts; every other store stays as it is. "
    "Its pod needs the service account foreact-pipelines.",
}

# The description of each parameter on Kubeflow's page.
STORE = """
    store: The store to retrain, as the history names it. What is left out of history, known, columns, country, spacing,
        horizon, missing, stockouts, max_rejected_share, quantiles and experts is as in the last retrain-all."""
PROMOTION = """
    version: A registered version of the store's model to judge and publish in place of training one; empty: train one.
    reason: Why that version; without a reason it is refused.
    by: Who chose it.
    force: Whether it is published even if it loses at the gate."""
NO_PROMOTION = {"version": "", "reason": "", "by": "", "force": False}
PARAMETERS = """
    history: The sales history: a file, a folder, a glob or a Blob prefix; CSV or Parquet.
    known: The tables of what is known ahead (calendar, prices, promotions), by any of date, store and item.
    columns: Our names and the files' names, as in date=Day,store=Shop.
    country: The country or subdivision whose holidays count, as in DE or DE-BY; empty: what stores' attributes say.
    full: Whether everything is read anew, even files that were read before.
    as_of: The last day that may be used, as in 2026-01-31; empty: the last day of the history.
    spacing: Whether forecasts are daily, weekly or monthly; auto: as the history's dates are.
    horizon: How many days, weeks or months ahead are forecast, as the spacing is; 0: 28 days, 8 weeks or 6 months.
    missing: What a missing row within a series' life is: zero, unknown, or auto (zero if the store reported
        anything that day, or sells on few days; else unknown).
    stockouts: Whether zeros that a fast item's rate makes next to impossible count as days without demand (keep) or as
        sold out (doubt).
    max_rejected_share: The share of rejected rows above which the data is refused.
    margin: How much worse than the champion a challenger may score and still go live, as a share.
    max_fallback_share: The run fails when more than this share of the stores could not be trained.
    accept_departures: Whether numbers are published that depart from past sales and from the last publication beyond
        what is likely; if not, such stores keep the last good ones.
    accept_losses: Whether the run may go on without columns, attributes or known tables that live models and stores go
        by.
    seed: Seed of everything drawn at random.
    quantiles: Which quantiles are published beside p10, p50 and p90, as in p5,p97.5.
    experts: Names of installed experts that forecast beside the built-in ones, as in fortnight,mine; empty: none.
    step_cpu: How many cores each step has, but for train.
    step_memory: How much memory each step has, but for train.
    train_cpu: How many cores train has; without a Ray cluster, that many stores are trained at once.
    train_memory: How much memory train has.
"""


def build_pipeline(
    name: str, *, retries: bool = True, in_one_pod: bool = False, place: Mapping[str, Any] | None = None
) -> Any:
    """Return a pipeline by its name; without retries where an error would only recur.

    One store's steps may all run in one pod. A place's own values may stand for the parameters' defaults.
    """

    def retrain_all(
        history: str,
        known: list[str] = [],  # noqa: B006 - a pipeline's default is a constant of its definition
        columns: str = "",
        country: str = "",
        full: bool = False,
        as_of: str = "",
        spacing: str = defaults.SPACING,
        horizon: int = defaults.HORIZON,
        missing: str = defaults.MISSING,
        stockouts: str = defaults.STOCKOUTS,
        max_rejected_share: float = defaults.MAX_REJECTED_SHARE,
        margin: float = defaults.MARGIN,
        max_fallback_share: float = defaults.MAX_FALLBACK_SHARE,
        accept_departures: bool = defaults.ACCEPT_DEPARTURES,
        accept_losses: bool = defaults.ACCEPT_LOSSES,
        seed: int = defaults.SEED,
        quantiles: str = defaults.QUANTILES,
        experts: str = defaults.EXPERTS,
        step_cpu: str = defaults.STEP_CPU,
        step_memory: str = defaults.STEP_MEMORY,
        train_cpu: str = defaults.TRAIN_CPU,
        train_memory: str = defaults.TRAIN_MEMORY,
    ) -> None:
        parameters = {
            "store": "",
            "history": history,
            "known": known,
            "columns": columns,
            "country": country,
            "full": full,
            "as_of": as_of,
            "spacing": spacing,
            "horizon": horizon,
            "missing": missing,
            "stockouts": stockouts,
            "max_rejected_share": max_rejected_share,
            "margin": margin,
            "max_fallback_share": max_fallback_share,
            "accept_departures": accept_departures,
            "accept_losses": accept_losses,
            "seed": seed,
            "quantiles": quantiles,
            "experts": experts,
            **NO_PROMOTION,
            "step_cpu": step_cpu,
            "step_memory": step_memory,
            "train_cpu": train_cpu,
            "train_memory": train_memory,
        }
        _run_tasks(name, retries, parameters)

    def retrain_store(
        store: str,
        history: str = "",
        known: list[str] = [],  # noqa: B006 - a pipeline's default is a constant of its definition
        columns: str = "",
        country: str = "",
        full: bool = False,
        as_of: str = "",
        spacing: str = defaults.SPACING,
        horizon: int = defaults.HORIZON,
        missing: str = defaults.MISSING,
        stockouts: str = defaults.STOCKOUTS,
        max_rejected_share: float = defaults.MAX_REJECTED_SHARE,
        margin: float = defaults.MARGIN,
        max_fallback_share: float = defaults.MAX_FALLBACK_SHARE,
        accept_departures: bool = defaults.ACCEPT_DEPARTURES,
        accept_losses: bool = defaults.ACCEPT_LOSSES,
        seed: int = defaults.SEED,
        quantiles: str = defaults.QUANTILES,
        experts: str = defaults.EXPERTS,
        version: str = "",
        reason: str = "",
        by: str = "",
        force: bool = False,
        step_cpu: str = defaults.STEP_CPU,
        step_memory: str = defaults.STEP_MEMORY,
        train_cpu: str = defaults.TRAIN_CPU,
        train_memory: str = defaults.TRAIN_MEMORY,
    ) -> None:
        parameters = {
            "store": store,
            "history": history,
            "known": known,
            "columns": columns,
            "country": country,
            "full": full,
            "as_of": as_of,
            "spacing": spacing,
            "horizon": horizon,
            "missing": missing,
            "stockouts": stockouts,
            "max_rejected_share": max_rejected_share,
            "margin": margin,
            "max_fallback_share": max_fallback_share,
            "accept_departures": accept_departures,
            "accept_losses": accept_losses,
            "seed": seed,
            "quantiles": quantiles,
            "experts": experts,
            "version": version,
            "reason": reason,
            "by": by,
            "force": force,
            "step_cpu": step_cpu,
            "step_memory": step_memory,
            "train_cpu": train_cpu,
            "train_memory": train_memory,
        }
        if in_one_pod:
            _run_one_task(parameters)
        else:
            _run_tasks(name, retries, parameters)

    about = "Ingest, validate, train, register and publish.\n\nArgs:"
    retrain_all.__doc__ = about + PARAMETERS
    retrain_store.__doc__ = about + STORE + PROMOTION + PARAMETERS
    for pipeline in (retrain_all, retrain_store):
        _replace_defaults(pipeline, place or {})
    return dsl.pipeline(
        name=name,
        description=DESCRIPTIONS[name],
        display_name=name,
        pipeline_config=dsl.PipelineConfig(ttl_seconds_after_finished=WEEK, active_deadline_seconds=DEADLINE),
    )(retrain_store if name == "retrain-store" else retrain_all)


def _replace_defaults(pipeline: Callable[..., None], defaults: Mapping[str, Any]) -> None:
    parameters = inspect.signature(pipeline).parameters.values()
    values = [defaults.get(parameter.name, parameter.default) for parameter in parameters]
    pipeline.__defaults__ = tuple(value for value in values if value is not inspect.Parameter.empty)


def _run_tasks(pipeline: str, retries: bool, parameters: dict[str, Any]) -> None:
    """Make each step a task, and report the run's end however they end."""
    configure = partial(
        set_task_options,
        pipeline=pipeline,
        retry=retries,
        cpu=parameters["step_cpu"],
        memory=parameters["step_memory"],
    )
    ended = report(pipeline=pipeline, store=parameters["store"])
    configure(ended, REPORT)

    def make_task(step: Step, component: Any, **inputs: Any) -> Any:
        task = component(**inputs)
        size = {name: inputs[name] for name in ("cpu", "memory") if name in inputs}
        configure(task, step, **size)
        return task

    with dsl.ExitHandler(ended, name="Retrain"):
        run_steps(make_task, parameters, dsl.PIPELINE_JOB_ID_PLACEHOLDER)


def _run_one_task(parameters: dict[str, Any]) -> None:
    """Run all steps in one task; it reports the run's end itself."""
    task = retrain_in_one_pod(**parameters, run=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
    cpu, memory = parameters["train_cpu"], parameters["train_memory"]
    set_task_options(task, ONE_POD, pipeline="retrain-store", retry=False, cpu=cpu, memory=memory)
    # Said outright, because an installation tries again what leaves it open.
    task.set_retry(0)
