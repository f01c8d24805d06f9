"""How earlier forecasts of a store's items did, now that the sales are known.

Earlier publications stay in the blob store for a while. Reading one of them takes a moment, so that it is done when
somebody asks, and kept as long as the store's arrays are.
"""

from typing import Any

import numpy as np

from foreact.blobs import BlobUnavailable
from foreact.errors import ForeactError
from foreact.publications.reader import Reader
from foreact.vocabulary import DATE, ITEM, MEAN, P10, P90, STORE
from serving.analysis.comparison import units_sold_on
from serving.publication import PublicationCache, StoreData
from serving.publication.tables import WideTable, read_table, widen_table

LOOK_BACK = 12
WANTED = 4


def past_forecasts(library: PublicationCache, arrays: StoreData) -> list[tuple[str, WideTable]]:
    """Return the store's latest earlier forecasts that were made of older data, the latest first.

    There are none while the blob store is away; the next look tries again.
    """
    found: list[tuple[str, WideTable]] | None = arrays.derived.get("past_forecasts")
    if found is None:
        if library.unreachable:
            return []
        try:
            found = arrays.derived["past_forecasts"] = _load_versions(library.reader, arrays)
        except BlobUnavailable:
            return []
    return found


def _load_versions(reader: Reader, arrays: StoreData) -> list[tuple[str, WideTable]]:
    seen = {arrays.entry.as_of}
    found: list[tuple[str, WideTable]] = []
    for number in reversed(reader.list_versions()[-LOOK_BACK:]):
        try:
            entry = reader.read_version(number).stores.get(arrays.store)
            if entry is None or entry.as_of in seen or entry.as_of > arrays.entry.as_of:
                continue
            seen.add(entry.as_of)
            published = entry.objects["forecasts"]
            table = read_table(
                reader.read_object(published), published.name, arrays.store, (STORE, ITEM, DATE, MEAN, P10, P90)
            )
            found.append((str(entry.as_of), widen_table(table, published.name, (MEAN, P10, P90), ITEM)))
        except BlobUnavailable:
            raise
        except ForeactError:
            # No longer kept, or damaged: the page says less, and the next version may serve.
            continue
        if len(found) == WANTED:
            break
    return found


def score_item(library: PublicationCache, arrays: StoreData, row: int) -> dict[str, Any] | None:
    """Compare earlier forecasts of an item with what was sold; nothing if none has met its sales yet."""
    item = arrays.items[row]
    last = np.datetime64(arrays.entry.as_of)
    for as_of, wide in past_forecasts(library, arrays):
        if item not in wide.labels:
            continue
        days = wide.dates[wide.dates <= last]
        sold = units_sold_on(arrays, arrays.past[row][None], days)[0]
        known = np.isfinite(sold)
        if not known.any():
            continue
        place, kept = wide.labels.index(item), np.flatnonzero(known)
        mean, low, high = (wide.columns[name][place][: len(days)][kept] for name in (MEAN, P10, P90))
        actual = sold[kept]
        return {
            "as_of": as_of,
            "days": len(kept),
            "forecast": float(mean.sum()),
            "sold": float(actual.sum()),
            "inside": int(((actual >= low - 1e-6) & (actual <= high + 1e-6)).sum()),
            "error": float(np.abs(mean - actual).sum() / actual.sum()) if actual.sum() > 0 else None,
        }
    return None
