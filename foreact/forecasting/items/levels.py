"""Every item's level as of an origin, and the expected units: level x season."""

import numpy as np

from foreact.forecasting.inputs.arrays import Codes, Doubles
from foreact.forecasting.items.history import ItemHistory, window_sums

LAST_YEAR = 364
LEVEL_DAYS = 28
PRIOR_DAYS = 14.0
# How clumped sales are (a negative binomial's size), and the prior odds that an item is delisted.
CLUMPS, DELISTED = 1.5, 0.02
# The share of its level that a silent item keeps: the boosting cannot correct a level of next to nothing.
FAINT = 0.1


def item_levels(history: ItemHistory, origin: int) -> Doubles:
    """Return every item's level as of the origin: recent sales, steadied by the year's mean; new items borrow."""
    sold, seen = window_sums(history, origin, LEVEL_DAYS)
    year_sold, year_seen = window_sums(history, origin, LAST_YEAR)
    usual = _borrowed_levels(history, year_sold, year_seen)
    yearly = (year_sold + 7.0 * usual) / (year_seen + 7.0)
    yearly = np.where(year_seen >= LEVEL_DAYS, year_sold / np.maximum(year_seen, 1), yearly)
    yearly *= np.maximum(_selling_chances(history, origin, usual), FAINT)
    return np.asarray((sold + PRIOR_DAYS * yearly + history.floor) / (seen + PRIOR_DAYS + 1))


def _selling_chances(history: ItemHistory, origin: int, usual: Doubles) -> Doubles:
    """Return the chance that an item sells, by how unlikely its silence would be if it did; `usual` if it never has."""
    sold, seen = window_sums(history, origin, LAST_YEAR)
    since = history.last_sale[:, origin] + 1
    rows = np.arange(len(since))
    silent = (history.evidence[rows, origin] - history.evidence[rows, since]).astype(np.float64)
    # Its usual rate without the silence; clumped sales make long silences likelier than Poisson's.
    missed = sold / np.maximum(seen - silent, 1.0) * silent
    missed = np.where(since > 0, missed, usual * history.waiting[:, origin])
    chance = 1.0 / (1.0 + missed / CLUMPS) ** CLUMPS
    return np.asarray(chance / (chance + DELISTED))


def _borrowed_levels(history: ItemHistory, sold: Doubles, seen: Doubles) -> Doubles:
    """Return what an item of the same group usually sells a day, for items that have no past of their own."""
    rate = sold / np.maximum(seen, 1)
    usual = np.zeros(len(rate))
    everywhere = seen >= LEVEL_DAYS
    for group in np.unique(history.codes):
        members = history.codes == group
        known = members & everywhere
        peers = rate[known] if known.any() else rate[everywhere]
        usual[members] = np.median(peers) if len(peers) else 0.0
    return usual


def expected_units(history: ItemHistory, origin: int, level: Doubles, rows: Codes, days: Codes) -> Doubles:
    """Return level x season for items `rows` on `days`: what the boosting corrects."""
    season = history.season
    start = max(0, origin - LEVEL_DAYS)
    base = season[:, start:origin].mean(1) if origin > 0 else season.mean(1)
    group = history.codes[rows]
    return np.asarray(level[rows] * np.exp(season[group, days] - base[group]))
