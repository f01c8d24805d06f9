"""The graph of both pipelines: retrain-store is retrain-all with a store."""

from functools import partial
from typing import Any

from kfp import dsl

from components.ingest.component import ingest
from components.locate.component import locate
from components.publish.component import publish
from components.register.component import register
from components.report.component import report
from components.train.component import train
from components.validate.component import validate
from foreact.runs import defaults
from foreact.steps import REPORT, STEPS
from pipelines.platform import set_task_options

WEEK = 7 * 24 * 3600
DEADLINE = 4 * 3600

DESCRIPTIONS = {
    "retrain-all": "Retrain every store on fresh data and publish the forecasts of those models that pass the gate.",
    "retrain-store": "Retrain one store on fresh data and publish its forecasts; every other store stays as it is.",
}

# The description of each parameter on Kubeflow's page.
STORE = """
    store: The store to retrain, as the history names it."""
PARAMETERS = """
    history: The sales history: a file, a folder, a glob or a Blob prefix; CSV or Parquet.
    known: The tables of what is known ahead (calendar, prices, promotions), by any of date, store and item.
    columns: Our names and the files' names, as in date=Day,store=Shop.
    country: The country or subdivision whose holidays count, as in DE or DE-BY; empty: what stores' attributes say.
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
    seed: Seed of everything drawn at random.
    quantiles: Which quantiles are published beside p10, p50 and p90, as in p5,p97.5.
    experts: Names of installed experts that forecast beside the built-in ones, as in fortnight,mine; empty: none.
    step_cpu: How many cores each step has, but for train.
    step_memory: How much memory each step has, but for train.
    train_cpu: How many cores train has; without a Ray cluster, that many stores are trained at once.
    train_memory: How much memory train has.
"""


def build_pipeline(name: str, *, retries: bool = True) -> Any:
    """Return a pipeline by its name; without retries where an error would only recur."""

    def retrain_all(
        history: str,
        known: list[str] = [],  # noqa: B006 - a pipeline's default is a constant of its definition
        columns: str = "",
        country: str = "",
        as_of: str = "",
        spacing: str = defaults.SPACING,
        horizon: int = defaults.HORIZON,
        missing: str = defaults.MISSING,
        stockouts: str = defaults.STOCKOUTS,
        max_rejected_share: float = defaults.MAX_REJECTED_SHARE,
        margin: float = defaults.MARGIN,
        max_fallback_share: float = defaults.MAX_FALLBACK_SHARE,
        seed: int = defaults.SEED,
        quantiles: str = defaults.QUANTILES,
        experts: str = defaults.EXPERTS,
        step_cpu: str = defaults.STEP_CPU,
        step_memory: str = defaults.STEP_MEMORY,
        train_cpu: str = defaults.TRAIN_CPU,
        train_memory: str = defaults.TRAIN_MEMORY,
    ) -> None:
        _run_steps(
            name,
            retries,
            store="",
            history=history,
            known=known,
            columns=columns,
            country=country,
            as_of=as_of,
            spacing=spacing,
            horizon=horizon,
            missing=missing,
            stockouts=stockouts,
            max_rejected_share=max_rejected_share,
            margin=margin,
            max_fallback_share=max_fallback_share,
            seed=seed,
            quantiles=quantiles,
            experts=experts,
            step_cpu=step_cpu,
            step_memory=step_memory,
            train_cpu=train_cpu,
            train_memory=train_memory,
        )

    def retrain_store(
        store: str,
        history: str,
        known: list[str] = [],  # noqa: B006 - a pipeline's default is a constant of its definition
        columns: str = "",
        country: str = "",
        as_of: str = "",
        spacing: str = defaults.SPACING,
        horizon: int = defaults.HORIZON,
        missing: str = defaults.MISSING,
        stockouts: str = defaults.STOCKOUTS,
        max_rejected_share: float = defaults.MAX_REJECTED_SHARE,
        margin: float = defaults.MARGIN,
        max_fallback_share: float = defaults.MAX_FALLBACK_SHARE,
        seed: int = defaults.SEED,
        quantiles: str = defaults.QUANTILES,
        experts: str = defaults.EXPERTS,
        step_cpu: str = defaults.STEP_CPU,
        step_memory: str = defaults.STEP_MEMORY,
        train_cpu: str = defaults.TRAIN_CPU,
        train_memory: str = defaults.TRAIN_MEMORY,
    ) -> None:
        _run_steps(
            name,
            retries,
            store=store,
            history=history,
            known=known,
            columns=columns,
            country=country,
            as_of=as_of,
            spacing=spacing,
            horizon=horizon,
            missing=missing,
            stockouts=stockouts,
            max_rejected_share=max_rejected_share,
            margin=margin,
            max_fallback_share=max_fallback_share,
            seed=seed,
            quantiles=quantiles,
            experts=experts,
            step_cpu=step_cpu,
            step_memory=step_memory,
            train_cpu=train_cpu,
            train_memory=train_memory,
        )

    about = "Ingest, validate, train, register and publish.\n\nArgs:"
    retrain_all.__doc__ = about + PARAMETERS
    retrain_store.__doc__ = about + STORE + PARAMETERS
    return dsl.pipeline(
        name=name,
        description=DESCRIPTIONS[name],
        display_name=name,
        pipeline_config=dsl.PipelineConfig(ttl_seconds_after_finished=WEEK, active_deadline_seconds=DEADLINE),
    )(retrain_store if name == "retrain-store" else retrain_all)


def _run_steps(
    pipeline: str,
    retries: bool,
    *,
    store: str,
    history: str,
    known: list[str],
    columns: str,
    country: str,
    as_of: str,
    spacing: str,
    horizon: int,
    missing: str,
    stockouts: str,
    max_rejected_share: float,
    margin: float,
    max_fallback_share: float,
    seed: int,
    quantiles: str,
    experts: str,
    step_cpu: str,
    step_memory: str,
    train_cpu: str,
    train_memory: str,
) -> None:
    configure = partial(set_task_options, pipeline=pipeline, retry=retries, cpu=step_cpu, memory=step_memory)
    ended = report(pipeline=pipeline, store=store)
    configure(ended, REPORT)
    with dsl.ExitHandler(ended, name="Retrain"):
        # Inside an exit handler a size reaches a task only if some task there takes it as an input of its own, as
        # ingest and train do: KFP's compiler does not pass resource parameters down by itself.
        located = locate(history=history, known=known, store=store)
        configure(located, STEPS["locate"])

        ingested = ingest(
            history=history,
            known=known,
            columns=columns,
            country=country,
            source_version=located.output,
            as_of=as_of,
            spacing=spacing,
            horizon=horizon,
            missing=missing,
            stockouts=stockouts,
            store=store,
            cpu=step_cpu,
            memory=step_memory,
        )
        configure(ingested, STEPS["ingest"])

        validated = validate(dataset=ingested.outputs["dataset"], max_rejected_share=max_rejected_share, store=store)
        configure(validated, STEPS["validate"])

        trained = train(
            dataset=validated.outputs["checked"],
            margin=margin,
            seed=seed,
            quantiles=quantiles,
            experts=experts,
            max_fallback_share=max_fallback_share,
            cpu=train_cpu,
            memory=train_memory,
            store=store,
        )
        configure(trained, STEPS["train"], cpu=train_cpu, memory=train_memory)

        registered = register(trained=trained.outputs["trained"], run=dsl.PIPELINE_JOB_ID_PLACEHOLDER, store=store)
        configure(registered, STEPS["register"])

        published = publish(trained=trained.outputs["trained"], versions=registered.outputs["versions"], store=store)
        configure(published, STEPS["publish"])
