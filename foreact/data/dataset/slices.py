"""How a store's rows are cut by date: a part for each year that is over, and one for each quarter of the last year.

So one more day changes a quarter of each store, and a store of many years has few parts.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from foreact.data.reading.dates import day_number

QUARTERS = (1, 4, 7, 10)
# The dates on which a store has rows, and the units above zero of each.
Sold = tuple[NDArray[np.datetime64], NDArray[np.float64]]


@dataclass(frozen=True)
class Slices:
    """The first day of each slice, and what it is called."""

    starts: list[date]
    names: list[str]

    @classmethod
    def cut(cls, first: date, as_of: date) -> "Slices":
        """Return the slices of the dates from the first to the last."""
        years = list(range(first.year, as_of.year))
        months = [month for month in QUARTERS if month <= as_of.month]
        return cls(
            [*(date(year, 1, 1) for year in years), *(date(as_of.year, month, 1) for month in months)],
            [*map(str, years), *(f"{as_of.year}-q{QUARTERS.index(month) + 1}" for month in months)],
        )

    def place_sql(self, day: str) -> str:
        """Return SQL for the position of a day's slice."""
        cases = [f"WHEN {day} < {day_number(start)} THEN {place}" for place, start in enumerate(self.starts[1:])]
        return f"(CASE {' '.join(cases)} ELSE {len(cases)} END)" if cases else "0"

    def place_days(self, days: NDArray[np.datetime64]) -> NDArray[np.int64]:
        """Return the positions of the slices of days."""
        return np.searchsorted(np.array(self.starts[1:], "datetime64[D]"), days, side="right")

    def place_name(self, name: str) -> int:
        """Return the position of the slice that has the days of a slice of this dataset or an earlier one."""
        return self.names.index(name) if name in self.names else self.names.index(name.partition("-")[0])
