"""What is published for one store: in memory for as long as it is, and its items' arrays while there is room."""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from foreact.outlines.names import ItemIndex
from foreact.outlines.outline import Outline, name_content
from foreact.outlines.tables import Days, Floats
from foreact.publications.contract import StoreEntry
from foreact.spacing import Spacing
from foreact.vocabulary import DATE, MEAN, P10, P50, P90, STORE
from serving.publication.detail import StoreDetail

if TYPE_CHECKING:
    from serving.publication.shelf import Shelf


@dataclass(frozen=True, eq=False)
class StoreData:
    """A store's totals, and the way to its items, which are read again when they are asked for and not in memory."""

    store: str
    entry: StoreEntry
    dates: Days
    # dates
    total_mean: Floats
    total_quantiles: dict[str, Floats]
    # NaN where nothing is known; the items have the same dates.
    past_dates: Days
    past_total: Floats
    shelf: "Shelf"
    index: ItemIndex
    # The alerts as they were found when the items' arrays were there; None: they are found when they are asked for.
    alert_records: bytes | None = None
    # What others compute from the totals; it lives as long as they do.
    derived: dict[str, Any] = field(default_factory=dict)
    _detail: "list[weakref.ref[StoreDetail]]" = field(default_factory=list)

    @classmethod
    def of(cls, store: str, entry: StoreEntry, outline: Outline, shelf: "Shelf") -> "StoreData":
        """Return a store as it is published in an entry, by its outline."""
        return cls(
            store=store,
            entry=entry,
            dates=outline.dates,
            total_mean=outline.totals[MEAN],
            total_quantiles={name: values for name, values in outline.totals.items() if name != MEAN},
            past_dates=outline.past_dates,
            past_total=outline.past_total,
            shelf=shelf,
            index=outline.index,
            alert_records=outline.alerts,
        )

    @cached_property
    def key(self) -> str:
        """Return the name of what is published for the store, by its content."""
        return name_content(self.store, self.entry)

    @property
    def open_detail(self) -> StoreDetail | None:
        """Return the items' arrays if they are in memory."""
        found = self._detail[0]() if self._detail else None
        if found is not None and self.shelf.is_full:
            self.shelf.touch(self.key)
        return found

    @property
    def detail(self) -> StoreDetail:
        """Return the items' arrays; unless they are in memory, read them, or raise DamagedStore if they are damaged."""
        return self.open_detail or self.shelf.open_detail(self)

    def refer_to(self, detail: StoreDetail) -> None:
        """Find these arrays for as long as somebody holds them."""
        self._detail[:] = [weakref.ref(detail)]

    @property
    def spacing(self) -> Spacing:
        """Return whether the dates are of days, weeks or months."""
        return self.entry.spacing

    @property
    def items(self) -> tuple[str, ...]:
        """The items' names, sorted."""
        return self.detail.items

    @property
    def mean(self) -> Floats:
        """The items' expected units, items x dates."""
        return self.detail.quantiles[MEAN]

    @property
    def p10(self) -> Floats:
        """The lower end of the items' intervals."""
        return self.detail.quantiles[P10]

    @property
    def p50(self) -> Floats:
        """The items' medians."""
        return self.detail.quantiles[P50]

    @property
    def p90(self) -> Floats:
        """The upper end of the items' intervals."""
        return self.detail.quantiles[P90]

    @property
    def past(self) -> Floats:
        """The items' units sold, items x past dates, NaN where nothing is known."""
        return self.detail.past

    @property
    def drivers(self) -> dict[str, Floats]:
        """What moves the total, in units by driver and date."""
        return self.detail.drivers

    @property
    def scorecard(self) -> tuple[dict[str, Any], ...]:
        """How past forecasts did."""
        return self.detail.scorecard

    @property
    def total_p10(self) -> Floats:
        """The lower end of the total's interval."""
        return self.total_quantiles[P10]

    @property
    def total_p90(self) -> Floats:
        """The upper end of the total's interval."""
        return self.total_quantiles[P90]

    @property
    def item_count(self) -> int:
        """Return how many items there are."""
        return len(self.index.rows)

    @property
    def quantile_names(self) -> tuple[str, ...]:
        """Return the names of the quantiles that are published for items."""
        return self.entry.list_quantiles("forecasts")

    @cached_property
    def days(self) -> tuple[str, ...]:
        """Return the dates as text."""
        return tuple(str(day) for day in self.dates)

    @cached_property
    def past_days(self) -> tuple[str, ...]:
        """Return the past dates as text."""
        return tuple(str(day) for day in self.past_dates)

    def find_row(self, item: str) -> int | None:
        """Return an item's row; None for one that the store does not have."""
        detail = self.open_detail
        return self.index.find_row(item) if detail is None else detail.rows.get(item)

    def name_item(self, row: int) -> str:
        """Return the name of a row's item."""
        return self.index.name_item(row)

    def encode_items(self, rows: Sequence[int], first: int, end: int, more: Sequence[str] = ()) -> bytes:
        """Return the days of some items in a range as JSON objects joined by commas; what `list_records` has."""
        return self.detail.encode_rows(self.store, self.days, rows, first, end, more)

    def list_records(self, row: int, first: int, end: int, more: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return an item's days in a range, with more quantiles than every answer has; None where one is not there."""
        return self.detail.list_records(self.store, self.days, row, first, end, more)

    def list_total_records(self, first: int, end: int, more: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return the total's days in a range; None where a quantile is not published."""
        arrays = {MEAN: self.total_mean, **{name: self.total_quantiles.get(name) for name in (P10, P50, P90, *more)}}
        return [
            {
                STORE: self.store,
                DATE: self.days[place],
                **{name: None if array is None else array[place] for name, array in arrays.items()},
            }
            for place in range(first, end)
        ]

    def find_columns(self, start: str | None, end: str | None) -> tuple[int, int]:
        """Return the range of columns from one day to another, both days included."""
        first = 0 if start is None else int(np.searchsorted(self.dates, np.datetime64(start)))
        last = len(self.days) if end is None else int(np.searchsorted(self.dates, np.datetime64(end), side="right"))
        return first, max(first, last)
