"""A registered version that somebody chose: loaded, and its figures told once it is judged."""

from collections.abc import Callable
from datetime import date

from components.train.live import LiveStore, find_lost_columns
from foreact.data.dataset.stored import Dataset
from foreact.errors import ForeactError, name_examples
from foreact.forecasting.judging.accuracy import Accuracy
from foreact.forecasting.judging.gate import GateOutcome
from foreact.registry.records import model_name
from foreact.runs.events import Events
from foreact.runs.trained import Promotion, Trained


def load_chosen(
    data: Dataset, find_chosen: Callable[[list[str], date], dict[str, LiveStore]] | None
) -> dict[str, LiveStore]:
    """Return the chosen version by store, or raise if it goes by columns that the data lacks."""
    chosen = {} if find_chosen is None else find_chosen(data.stores, data.info.as_of)
    for store, lost in find_lost_columns(data, chosen).items():
        raise ForeactError(
            f"Version {chosen[store].champion_version} of {model_name(store)} cannot be promoted: it goes by "
            f"{name_examples(lost)}, which the data lacks."
        )
    return chosen


def conclude_promotion(trained: Trained, events: Events) -> None:
    """Note the figures of a chosen version and of what it is beside; raise if it has lost."""
    if trained.promotion is None:
        return
    for record in trained.stores.values():
        version = name_version(trained.promotion, record.store)
        judged = {version: record.challenger_accuracy, "the live model": record.champion_accuracy}
        judged |= {method.label: accuracy for method, accuracy in record.baselines.items()}
        figures = [f"{name} {_describe(accuracy)}" for name, accuracy in judged.items() if accuracy.to_figures()]
        events.note("train", f"by scaled error: {'; '.join(figures) or 'nothing could be measured'}")
        if record.outcome is not GateOutcome.PROMOTED:
            raise ForeactError(
                f"{version} is not promoted: {record.reason}. What was published stays as it was; with --force it is "
                "published all the same."
            )


def name_version(promotion: Promotion, store: str) -> str:
    """Name the version that was chosen."""
    return f"Version {promotion.version} of {model_name(store)}"


def _describe(accuracy: Accuracy) -> str:
    known = accuracy.to_figures()
    beside = [f"{label} {known[name]:.3f}" for name, label in (("wape", "WAPE"), ("bias", "bias")) if name in known]
    return f"{known.get('scaled_error', float('nan')):.3f}" + (f" ({', '.join(beside)})" if beside else "")
