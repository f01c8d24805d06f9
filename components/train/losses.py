"""What one store's run would take from the store, against what is live: refused by name unless that is wanted."""

from collections.abc import Mapping
from typing import Any

from components.train.live import LiveStore, find_lost_columns
from foreact.data.dataset.stored import Dataset
from foreact.errors import ForeactError, name_examples
from foreact.runs.events import Events

HINT = "name the tables of the last retrain-all too (--known), or let them go by --accept-losses"


def refuse_losses(
    data: Dataset, live: Mapping[str, LiveStore], night: Mapping[str, Any], events: Events, *, accept: bool
) -> None:
    """Raise if data for one store lacks what the store goes by; say it where that is accepted.

    Judged on less, a poorer model would win, and without its attributes a store leaves the views that it belongs to. A
    whole chain may lose a column for good, and one of the night's own tables may have no rows of a store any more.
    """
    losses = find_losses(data, live, night)
    if not losses:
        return
    if not accept:
        raise ForeactError(f"{'. '.join(losses)}: {HINT}.")
    for loss in losses:
        events.note("train", f"warning, accepted by --accept-losses: {loss}")


def find_losses(data: Dataset, live: Mapping[str, LiveStore], night: Mapping[str, Any]) -> list[str]:
    """Return a sentence on each thing that the data lacks and a store goes by."""
    read = data.info.parameters
    gone = sorted(set(night.get("known", [])) - set(read.get("known", [])))
    if night and not gone and all((night.get(name) or "") == read.get(name, "") for name in ("history", "columns")):
        return []
    columns = find_lost_columns(data, live)
    losses = [
        f"The data lacks {name_examples(names)}, which the live model of store {store!r} goes by"
        for store, names in columns.items()
    ]
    for store, each in live.items():
        attributes = sorted(
            each.attributes.keys() - data.info.stores[store].attributes.keys() - {*columns.get(store, [])}
        )
        if attributes:
            losses.append(
                f"The data lacks {name_examples(attributes)}, which store {store!r} is published with and planners' "
                "views and regions go by"
            )
        if gone and each.problem and not each.list_columns():
            losses.append(
                f"The run leaves out {name_examples(gone)}, known tables of the last retrain-all, and the live "
                f"model of store {store!r} cannot tell whether it goes by them"
            )
    return losses
