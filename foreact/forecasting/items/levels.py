"""Every item's level as of an origin, and the expected units: level x season."""

import numpy as np

from foreact.forecasting.inputs.arrays import Codes, Doubles
from foreact.forecasting.items.history import ItemHistory, PanelHistory, sums_before

# How clumped sales are (a negative binomial's size), and the prior odds that an item is delisted.
CLUMPS, DELISTED = 1.5, 0.02
# The share of its level that a silent item keeps: the boosting cannot correct a level of next to nothing.
FAINT = 0.1


def item_levels(history: ItemHistory, origin: int) -> Doubles:
    """Return every item's level as of the origin: recent sales, steadied by the year's mean; new items borrow."""
    items = np.arange(len(history.first_sale))
    usual = borrowed_levels(history, history.codes, origin)
    return levels_at(history, usual, items, np.full(len(items), origin))


def levels_at(history: PanelHistory, usual: Doubles, items: Codes, origins: Codes) -> Doubles:
    """Return the levels of `items` as of `origins`; `usual` is what each item borrows where it has no past."""
    month, year = history.panel.spacing.month, history.panel.spacing.year
    sold, seen = sums_before(history, items, origins, month)
    year_sold, year_seen = sums_before(history, items, origins, year)
    yearly = (year_sold + month / 4 * usual[items]) / (year_seen + month / 4)
    yearly = np.where(year_seen >= month, year_sold / np.maximum(year_seen, 1), yearly)
    yearly *= np.maximum(selling_chances(history, usual, items, origins), FAINT)
    return np.asarray((sold + month / 2 * yearly + history.floor) / (seen + month / 2 + 1))


def selling_chances(history: PanelHistory, usual: Doubles, items: Codes, origins: Codes) -> Doubles:
    """Return the chance that an item sells, by how unlikely its silence would be if it did; `usual` if it never has."""
    sold, seen = sums_before(history, items, origins, history.panel.spacing.year)
    since = history.last_sale[items, origins] + 1
    silent = (history.evidence[items, origins] - history.evidence[items, since]).astype(np.float64)
    # Its usual rate without the silence; clumped sales make long silences likelier than Poisson's.
    missed = sold / np.maximum(seen - silent, 1.0) * silent
    missed = np.where(since > 0, missed, usual[items] * history.waiting[items, origins])
    chance = 1.0 / (1.0 + missed / CLUMPS) ** CLUMPS
    return np.asarray(chance / (chance + DELISTED))


def borrowed_levels(history: PanelHistory, codes: Codes, origin: int) -> Doubles:
    """Return what an item of the same group usually sells a day, for items that have no past of their own."""
    items = np.arange(len(codes))
    sold, seen = sums_before(history, items, np.full(len(items), origin), history.panel.spacing.year)
    rate = sold / np.maximum(seen, 1)
    usual = np.zeros(len(rate))
    everywhere = seen >= history.panel.spacing.month
    for group in np.unique(codes):
        members = codes == group
        known = members & everywhere
        peers = rate[known] if known.any() else rate[everywhere]
        usual[members] = np.median(peers) if len(peers) else 0.0
    return usual


def expected_units(history: ItemHistory, origin: int, level: Doubles, rows: Codes, days: Codes) -> Doubles:
    """Return level x season for items `rows` on `days`: what the boosting corrects."""
    season = history.season
    start = max(0, origin - history.panel.spacing.month)
    base = season[:, start:origin].mean(1) if origin > 0 else season.mean(1)
    group = history.codes[rows]
    return np.asarray(level[rows] * np.exp(season[group, days] - base[group]))
