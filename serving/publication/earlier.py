"""Earlier forecasts of a store, for as long as their publications stay in the blob store.

Reading one of them takes a moment, so they are read when they are first asked for, and kept as long as the store's
arrays are.
"""

from foreact.blobs import BlobUnavailable
from foreact.errors import ForeactError
from foreact.publications.reader import Reader
from foreact.vocabulary import DATE, ITEM, MEAN, P10, P90, STORE
from serving.publication.arrays import StoreData
from serving.publication.cache import PublicationCache
from serving.publication.tables import WideTable, read_table, widen_table

# How many versions back earlier forecasts are looked for, and how many of them are read.
MOST_VERSIONS = 12
MOST_FORECASTS = 4

EarlierForecast = tuple[str, WideTable]


def load_earlier_forecasts(cache: PublicationCache, arrays: StoreData) -> list[EarlierForecast]:
    """Return the store's latest earlier forecasts that were made of older data, the latest first.

    There are none while the blob store is unreachable; the next call tries again.
    """
    found: list[EarlierForecast] | None = arrays.derived.get("earlier_forecasts")
    if found is None:
        if cache.unreachable:
            return []
        try:
            found = arrays.derived["earlier_forecasts"] = _read_versions(cache.reader, arrays)
        except BlobUnavailable:
            return []
    return found


def _read_versions(reader: Reader, arrays: StoreData) -> list[EarlierForecast]:
    seen = {arrays.entry.as_of}
    found: list[EarlierForecast] = []
    for version in reversed(reader.list_versions()[-MOST_VERSIONS:]):
        try:
            entry = reader.read_version(version).stores.get(arrays.store)
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
            # Deleted since, or damaged: go on with the version before.
            continue
        if len(found) == MOST_FORECASTS:
            break
    return found
