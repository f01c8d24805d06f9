"""What a run would take from stores, against what is live: refused by name unless that is wanted."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from components.train.live import LiveStore, find_lost_columns
from foreact.data.dataset.stored import Dataset
from foreact.errors import ForeactError, name_examples
from foreact.runs.events import Events

HINT = (
    "name the tables and the country of the last retrain-all too (--known, --country), or let them go by "
    "--accept-losses"
)


def refuse_losses(
    data: Dataset,
    live: Mapping[str, LiveStore],
    night: Mapping[str, Any],
    events: Events,
    *,
    is_whole: bool,
    accept: bool,
) -> None:
    """Raise if data lacks what stores go by that are live; say it where that is accepted.

    Judged on less, a poorer model would win, and without its attributes a store leaves the views that it belongs to.
    What the night's own tables no longer have may be gone for good, and stops no night. The whole chain has lost only
    what no store has any more.
    """
    if _reads_same_tables(data, night):
        return
    losses = find_chain_losses(data, live) if is_whole else find_losses(data, live, night)
    if not losses:
        return
    if not accept:
        raise ForeactError(f"{'. '.join(losses)}: {HINT}.")
    for loss in losses:
        events.note("train", f"warning, accepted by --accept-losses: {loss}")


def find_chain_losses(data: Dataset, live: Mapping[str, LiveStore]) -> list[str]:
    """Return a sentence on each column and attribute that no store has any more and stores go by."""
    columns = _group_stores(find_lost_columns(data, live))
    known = {name for store in data.info.stores.values() for name in store.attributes}
    attributes = _group_stores({store: each.attributes.keys() - known - columns.keys() for store, each in live.items()})
    return [
        *(
            f"The data lacks {name!r}, which the live models of these stores go by: {name_examples(stores)}"
            for name, stores in columns.items()
        ),
        *(
            f"The data lacks {name!r}, which these stores are published with, and planners' views and regions go by: "
            f"{name_examples(stores)}"
            for name, stores in attributes.items()
        ),
    ]


def find_losses(data: Dataset, live: Mapping[str, LiveStore], night: Mapping[str, Any]) -> list[str]:
    """Return a sentence on each thing that the data lacks and a store goes by."""
    gone = _list_gone_tables(data, night)
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
        if gone and each.problem and not each.list_columns(data.place.connect()):
            losses.append(
                f"The run leaves out {name_examples(gone)}, known tables of the last retrain-all, and the live "
                f"model of store {store!r} cannot tell whether it goes by them"
            )
    return losses


def _reads_same_tables(data: Dataset, night: Mapping[str, Any]) -> bool:
    read = data.info.parameters
    same = all((night.get(name) or "") == read.get(name, "") for name in ("history", "columns", "country"))
    return bool(night) and same and not _list_gone_tables(data, night)


def _list_gone_tables(data: Dataset, night: Mapping[str, Any]) -> list[str]:
    return sorted(set(night.get("known", [])) - set(data.info.parameters.get("known", [])))


def _group_stores(names: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return by name the stores that have it."""
    stores = defaultdict(list)
    for store, each in names.items():
        for name in sorted(each):
            stores[name].append(store)
    return dict(sorted(stores.items()))
