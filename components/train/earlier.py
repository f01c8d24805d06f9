"""The forecasts that were published before, which are compared with what was sold since."""

import logging
from datetime import date, timedelta
from functools import cache

from foreact.errors import ForeactError
from foreact.publications import PublishedObject, Reader, StoreEntry, pick_stores

log = logging.getLogger(__name__)
# Ages in days of the publications that are compared: a short and some longer leads.
SCORED_AGES = (1, 7, 14, 28)


def find_earlier(reader: Reader, stores: list[str], as_of: date) -> dict[str, dict[date, PublishedObject]]:
    """Return, for each age, the forecasts of the newest publication that is at least that old, by their last day."""
    return EarlierVersions(reader, stores).find_forecasts([as_of - timedelta(days=age) for age in SCORED_AGES])


class EarlierVersions:
    """The retained versions, looked up and not read one after the other: a manifest grows with the chain."""

    def __init__(self, reader: Reader, stores: list[str]) -> None:
        self._reader = reader
        self._stores = stores
        publication = reader.find_current()
        self._numbers = publication.manifest.list_retained() if publication else []
        self._read_entries = cache(self._read_version)

    def find_forecasts(self, days: list[date]) -> dict[str, dict[date, PublishedObject]]:
        """Return for each store the newest forecasts that know nothing after each of some days."""
        return {store: dict(filter(None, (self._find_one(store, day) for day in days))) for store in self._stores}

    def _find_one(self, store: str, day: date) -> tuple[date, PublishedObject] | None:
        for number in self._numbers[self._find_place(store, day) :]:
            entries = self._read_entries(number)
            if entries is None:
                continue
            if store not in entries:
                return None
            if entries[store].as_of <= day:
                return entries[store].as_of, entries[store].objects["forecasts"]
        return None

    def _find_place(self, store: str, day: date) -> int:
        """Return the place of the newest version that knows nothing after a day; the first guess is a version a day."""
        first, last = 0, len(self._numbers)
        place = 0
        while first < last:
            entries = self._read_entries(self._numbers[place])
            known = None if entries is None or store not in entries else entries[store].as_of
            if known == day:
                return place
            if known is None or known < day:
                last = place
            else:
                first = place + 1
            guess = place + (known - day).days if known is not None and place == 0 else (first + last) // 2
            place = max(first, min(guess, last - 1))
        return first

    def _read_version(self, number: int) -> dict[str, StoreEntry] | None:
        try:
            return pick_stores(self._reader.read_version(number).stores, self._stores)
        except ForeactError as error:
            log.warning("skipped version %d: %s", number, error)
            return None
