"""What MLflow shows of a run, of a store's version and of its figures night after night."""

from collections.abc import Mapping
from datetime import date

from foreact.errors import count_noun
from foreact.forecasting.experts.simple import Simple
from foreact.forecasting.judging.accuracy import Accuracy
from foreact.registry import Moment, Note, RunNotes
from foreact.runs.trained import RUN_FIGURES, Promotion, Trained, TrainedStore

# What is told of a forecast that is no longer, or not yet, the published one.
COMPARED = ("wape", "bias", "scaled_error")
DIGITS = 4


def describe_run(record: Trained, *, pipeline: str, store: str, code_version: str, parent_run: str) -> RunNotes:
    """Return the run's name, parameters and averages."""
    kind = pipeline or ("retrain-store" if store else "retrain-all")
    chain, promotion = record.chain, record.promotion
    parameters = {
        "as_of": record.as_of.isoformat(),
        "horizon": str(record.horizon),
        "spacing": str(record.spacing),
        "quantiles": ", ".join(record.quantiles),
        "margin": f"{record.margin:g}",
        "source_version": record.source_version,
        "code_version": code_version,
        "stores": str(len(record.stores)),
        "chain_as_of": "" if chain is None else chain.as_of.isoformat(),
        "chain_rows": "" if chain is None else str(chain.rows),
        **({} if promotion is None else {name: str(value) for name, value in promotion.model_dump().items()}),
    }
    counts = record.count_outcomes()
    return RunNotes(
        name=" ".join(filter(None, ("promote" if promotion else kind, store, record.as_of.isoformat()))),
        description=f"Data up to {record.as_of}, {count_noun(record.horizon, record.spacing.period)} ahead. Of "
        f"{count_noun(len(record.stores), 'store')} {counts['promoted']:.0f} promoted, {counts['kept']:.0f} kept "
        f"their model, {counts['fallback']:.0f} fell back.",
        parameters={name: text for name, text in parameters.items() if text},
        figures=list_run_figures(record),
        moment=Moment(record.as_of, record.generated_at),
        tags={"mlflow.parentRunId": parent_run} if parent_run else {},
    )


def list_run_figures(record: Trained) -> dict[str, float]:
    """Return the run's averages, its baselines' too."""
    return record.average_figures() | _name_baselines(record.average_baselines())


def list_store_figures(store: TrainedStore) -> dict[str, float]:
    """Return one store's figures: of what is published, of what it was judged against, and of past publications."""
    return {
        **_pick(store.accuracy, RUN_FIGURES),
        **_name_figures("challenger", store.challenger_accuracy),
        **_name_figures("champion", store.champion_accuracy),
        **_name_baselines(store.baselines),
        **store.live_figures,
    }


def describe_version(record: Trained, store: TrainedStore) -> str:
    """Return what a version's page says first."""
    figures = _name_figures("", store.challenger_accuracy)
    measured = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in figures.items())
    return f"Data up to {record.as_of}: {store.outcome.value}. {store.reason}" + (
        f"\n\nBacktest: {measured}." if measured else ""
    )


def describe_promotion(promotion: Promotion, store: TrainedStore, as_of: date, run: str) -> Note:
    """Return what a version's page says of its promotion by hand."""
    by, why = f" by {promotion.by}" if promotion.by else "", promotion.reason.rstrip(".")
    tags = {"promoted_by": promotion.by, "promoted_reason": promotion.reason, "promoted_run": run}
    return Note(
        f"Promoted{by} in run {run}, on data up to {as_of}: {why}. Gate: {store.reason}.",
        {f"foreact.{name}": text for name, text in tags.items()},
    )


def list_version_tags(store: TrainedStore, code_version: str) -> dict[str, str]:
    """Return a version's tags: where it comes from, and figures to search and sort versions by."""
    figures = {
        **_pick(store.challenger_accuracy, RUN_FIGURES),
        **_name_figures("champion", store.champion_accuracy),
        **_name_baselines(store.baselines),
    }
    experts = ", ".join(f"{name} {each.share:.0%}" for name, each in store.experts.items())
    tags = {
        "data_hash": store.data_hash,
        "code_version": code_version,
        "reason": store.reason,
        "champion_before": store.champion_version or "",
        "experts": experts,
        **{name: f"{value:.{DIGITS}f}" for name, value in figures.items()},
    }
    return {f"foreact.{name}": text for name, text in tags.items()}


def _name_baselines(baselines: Mapping[Simple, Accuracy]) -> dict[str, float]:
    return {
        name: value for each, accuracy in baselines.items() for name, value in _name_figures(each, accuracy).items()
    }


def _name_figures(whose: str, accuracy: Accuracy) -> dict[str, float]:
    return {f"{whose}_{name}" if whose else name: value for name, value in _pick(accuracy, COMPARED).items()}


def _pick(accuracy: Accuracy, names: tuple[str, ...]) -> dict[str, float]:
    return {name: value for name, value in accuracy.to_figures().items() if name in names}
