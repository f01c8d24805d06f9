"""How each column of a panel is used, inferred from its values: nobody declares flags, events or prices."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.inputs.arrays import Codes, Floats
from foreact.forecasting.inputs.panel import Panel

MOST_LEVELS = 60
MOST_GROUPS = 24
# A group's totals should be worth a model of their own.
SMALLEST_GROUP = 10.0


@dataclass(frozen=True)
class Columns:
    """Names of the known columns by use; texts are kept as texts, since codes differ from panel to panel."""

    # By day: the value that means yes.
    flags: dict[str, float] = field(default_factory=dict)
    # Unusual values, such as a holiday's name: their days and the days around them differ.
    events: dict[str, list[str]] = field(default_factory=dict)
    levels: dict[str, list[str]] = field(default_factory=dict)
    numbers: dict[str, tuple[float, float]] = field(default_factory=dict)
    # By item and day.
    item_flags: list[str] = field(default_factory=list)
    prices: list[str] = field(default_factory=list)
    item_numbers: list[str] = field(default_factory=list)
    # The attribute whose values have totals of their own; None: the store alone.
    group: str | None = None
    attributes: dict[str, list[str]] = field(default_factory=dict)

    def list_names(self) -> set[str]:
        """Return the names of all columns that are used."""
        by_use = (self.flags, self.events, self.levels, self.numbers, self.item_flags, self.prices, self.item_numbers)
        return {name for columns in (*by_use, self.attributes) for name in columns}

    def to_json(self) -> dict[str, Any]:
        """Return the columns as JSON that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Columns":
        """Return the columns from the JSON that `to_json` returned."""
        return cls(**{**data, "numbers": {name: (a, b) for name, (a, b) in data["numbers"].items()}})


def infer_columns(panel: Panel) -> Columns:
    """Infer the use of every known column and attribute from its values."""
    columns = Columns(
        group=_choose_group(panel),
        attributes={
            name: sorted(set(values.tolist()))
            for name, values in sorted(panel.attributes.items())
            if 2 <= len(set(values.tolist())) <= MOST_LEVELS
        },
    )
    for name in sorted(panel.known):
        daily = daily_values(panel, name)
        if daily is not None:
            _classify_daily_column(panel, name, daily, columns)
        else:
            _classify_item_column(panel, name, columns)
    return columns


def daily_values(panel: Panel, name: str) -> Floats | None:
    """Return a known column as one value a day, if it is one."""
    values = panel.known[name]
    if values.ndim == 1:
        return values
    return values[0] if len(values) == 1 else None


def column_texts(panel: Panel, name: str, values: Floats) -> NDArray[np.str_]:
    """Return a column's values as texts, "" where there are none."""
    if name in panel.categories:
        table = np.array([*panel.categories[name], ""])
        return table[np.nan_to_num(values, nan=-1.0).astype(np.int64)]
    present, inverse = np.unique(values, return_inverse=True)
    return np.array(["" if np.isnan(v) else f"{v:g}" for v in present])[inverse]


def _classify_daily_column(panel: Panel, name: str, values: Floats, columns: Columns) -> None:
    seen = values[: panel.days]
    ahead = values[panel.days :]
    if np.isnan(seen).mean() > 0.9 or (len(ahead) and np.isnan(ahead).all() and name not in panel.categories):
        return
    distinct = np.unique(seen[~np.isnan(seen)])
    if len(distinct) < 2:
        return
    if name in panel.categories or (3 <= len(distinct) <= 12 and (distinct == np.round(distinct)).all()):
        words, counts = np.unique(column_texts(panel, name, seen), return_counts=True)
        usual = int(counts.argmax())
        others = [str(word) for word in np.delete(words, usual)]
        if counts[usual] >= 0.6 * len(seen):
            columns.events[name] = others
        elif len(words) <= MOST_LEVELS:
            columns.levels[name] = [str(word) for word in words]
    elif len(distinct) == 2:
        columns.flags[name] = float(distinct[1])
    else:
        steps = np.diff(seen[~np.isnan(seen)])
        # A column that only rises or only falls counts days (an id, a year), which the trend covers already.
        if (steps >= 0).all() or (steps <= 0).all():
            return
        columns.numbers[name] = (float(np.nanmean(seen)), max(float(np.nanstd(seen)), 1e-6))


def _classify_item_column(panel: Panel, name: str, columns: Columns) -> None:
    seen = panel.known[name][:, : panel.days]
    present = ~np.isnan(seen)
    if present.mean() < 0.02:
        return
    if name in panel.categories:
        columns.item_numbers.append(name)
        return
    sample = seen[present]
    low, high = float(sample.min()), float(sample.max())
    if low == high:
        return
    # Two prices are still prices.
    if (low == 0 or (low, high) == (1, 2)) and bool(((sample == low) | (sample == high)).all()):
        columns.item_flags.append(name)
    elif low > 0:
        columns.prices.append(name)
    else:
        columns.item_numbers.append(name)


def _choose_group(panel: Panel) -> str | None:
    """Choose the attribute with the most groups of which nearly all sell enough to have a pattern of their own."""
    if panel.days == 0:
        return None
    year = slice(max(0, panel.days - panel.spacing.year), panel.days)
    recent = np.nan_to_num(panel.units[:, year]).mean(1, dtype=np.float64)
    best: tuple[int, str] | None = None
    for name in sorted(panel.attributes):
        names, codes = np.unique(panel.attributes[name], return_inverse=True)
        if not 2 <= len(names) <= MOST_GROUPS or len(names) > len(panel.items) / 2:
            continue
        sizes = np.bincount(codes, recent, len(names))
        if sizes[sizes >= SMALLEST_GROUP].sum() < 0.9 * sizes.sum() or sizes.sum() == 0:
            continue
        if best is None or len(names) > best[0]:
            best = (len(names), name)
    return best[1] if best else None


def group_codes(panel: Panel, group: str | None, names: list[str] | None = None) -> tuple[list[str], Codes]:
    """Return the groups' names and each item's group; groups that `names` lacks come after those that it has."""
    if group is None or group not in panel.attributes:
        return ["all"], np.zeros(len(panel.items), np.int64)
    present = sorted(set(panel.attributes[group].tolist()))
    order = [*(names or []), *(name for name in present if name not in set(names or []))]
    position = {name: i for i, name in enumerate(order)}
    return order, np.array([position[name] for name in panel.attributes[group].tolist()], np.int64)
