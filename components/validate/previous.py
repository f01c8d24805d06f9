"""The items of each store in the last publication."""

import logging
from concurrent.futures import ThreadPoolExecutor

from foreact.publications import BrokenPublication, Reader, pick_stores
from foreact.settings import PlaceSettings

log = logging.getLogger(__name__)


def previous_items(settings: PlaceSettings, only: str = "") -> dict[str, list[str]] | None:
    """Read the items that are published for each store, or for one; None while nothing is published.

    A store whose object is damaged has no items here: a new publication repairs it.
    """
    reader = Reader.connect(settings)
    publication = reader.find_current()
    if publication is None:
        return None
    stores = publication.manifest.stores
    entries = pick_stores(stores, [only] if only else list(stores))

    def read_items(store: str) -> list[str]:
        try:
            table = reader.read_table(entries[store].objects["forecasts"])
        except BrokenPublication as error:
            log.warning("the published items of store %r are not compared: %s", store, error)
            return []
        return sorted(set(table["item"].to_pylist()))

    with ThreadPoolExecutor(8) as pool:
        return dict(zip(entries, pool.map(read_items, entries), strict=True))
