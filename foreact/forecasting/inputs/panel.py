"""One store's data as the models read it: wide arrays, items down, days across."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.inputs.arrays import Floats
from foreact.spacing import Spacing


@dataclass(frozen=True)
class Likes:
    """Which item each one is like, by its place, -1 for none, and at which share of its units."""

    items: NDArray[np.int64]
    shares: NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """A store's history and what is known of the days ahead.

    Columns are consecutive periods without gaps (days, or weeks or months as `spacing` says): `days` of history, then
    the horizon. `dates` are the periods' own, as the history gave them. Arrays hold NaN where nothing is known.
    Nothing in `units` or `stockout` may be read at or after the origin (column `days`).
    """

    store: str
    items: NDArray[np.str_]
    dates: NDArray[np.datetime64]
    days: int
    # items x dates; NaN: unknown (a missing row that is not zero, before the series' life, from `days` on).
    units: Floats
    # items x dates, False: closed that day, as far as a flag says so; None: no such flag.
    open: NDArray[np.bool_] | None = None
    # items x dates, True: sold out that day; None: no such flag.
    stockout: NDArray[np.bool_] | None = None
    # Known over the horizon too; by day (dates,) or by item and day (items, dates); text as codes, -1 for none.
    known: dict[str, Floats] = field(default_factory=dict)
    categories: dict[str, list[str]] = field(default_factory=dict)
    # The same for all of an item's rows: department, category ...; one text an item.
    attributes: dict[str, NDArray[np.str_]] = field(default_factory=dict)
    # The same for all of the store's rows: region, size ...
    store_attributes: dict[str, str] = field(default_factory=dict)
    # Items of whose past others borrow; None: nobody says.
    likes: Likes | None = None
    # Periods of the history that are another store's, before the first of its own.
    borrowed: int = 0
    spacing: Spacing = Spacing.DAILY

    @property
    def horizon(self) -> int:
        """The number of days ahead that the known columns reach."""
        return len(self.dates) - self.days

    def truncate_at(self, origin: int, horizon: int | None = None) -> "Panel":
        """Return the panel as it stood after its first `origin` days, without anything known only later."""
        end = min(len(self.dates), origin + (self.horizon if horizon is None else horizon))
        units = self.units[:, :end].copy()
        units[:, origin:] = np.nan
        return replace(
            self,
            dates=self.dates[:end],
            days=origin,
            borrowed=min(self.borrowed, origin),
            units=units,
            open=None if self.open is None else self.open[:, :end],
            stockout=None if self.stockout is None else self.stockout[:, :end] & (np.arange(end) < origin),
            known={name: array[..., :end] for name, array in self.known.items()},
        )
