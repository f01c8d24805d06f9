"""Every item's level as of an origin, and the expected units: level x season."""

import numpy as np

from foreact.forecasting.inputs.arrays import Codes, Doubles
from foreact.forecasting.items.history import ItemHistory, PanelHistory, sums_before

# How clumped sales are (a negative binomial's size), and the prior odds that an item is delisted.
CLUMPS, DELISTED = 1.5, 0.02
# The share of its level that a silent item keeps: the boosting cannot correct a level of next to nothing.
FAINT = 0.1
# What a peer counts for by each year since it began, by its log price (a normal curve of this width), and by each
# attribute in which it differs.
AGEING, NEAR_PRICE, UNLIKE = 0.2, 0.4, 0.3
# What keeps a weight from vanishing, and how many weights are held at once.
FAR, BLOCK = 1e-6, 2_000_000


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
    """Return what each item would sell a day if it had no past: a share of its like item's level, or as others do.

    The others are the items of its group: those that began lately, at a similar price and with the same attributes.
    """
    sold, seen = sums_before(history, np.arange(len(codes)), np.full(len(codes), origin), history.panel.spacing.year)
    known = seen >= history.panel.spacing.month
    rate = sold / np.maximum(seen, 1)
    usual = np.where(known, rate, 0.0)
    prices = [_first_prices(history, name) for name in history.prices]
    for group in np.unique(codes[~known]):
        peers = np.flatnonzero(known & (codes == group))
        peers = peers if len(peers) else np.flatnonzero(known)
        members = np.flatnonzero(~known & (codes == group))
        for block in np.array_split(members, len(members) * len(peers) // BLOCK + 1) if len(peers) else ():
            usual[block] = _average_peers(history, origin, rate, block, peers, prices)
    return _borrow_of_like_items(history, usual, origin)


def _average_peers(
    history: PanelHistory, origin: int, rate: Doubles, items: Codes, peers: Codes, prices: list[Doubles]
) -> Doubles:
    """Return the geometric mean of what peers sell a day, by their likeness to each of `items`."""
    ages = (origin - history.first_sale[peers]) / history.panel.spacing.year
    weight = np.tile(AGEING**ages, (len(items), 1))
    for price in prices:
        distance = np.nan_to_num(price[items, None] - price[peers])
        weight *= np.exp(-0.5 * (distance / NEAR_PRICE) ** 2) + FAR
    for values in history.panel.attributes.values():
        weight *= np.where(values[items, None] == values[peers], 1.0, UNLIKE)
    # With the floor, so that what never sells has a log.
    mean = np.exp(weight @ np.log(rate[peers] + history.floor) / weight.sum(1))
    return np.asarray(np.maximum(mean - history.floor, 0.0))


def _borrow_of_like_items(history: PanelHistory, usual: Doubles, origin: int) -> Doubles:
    """Return `usual` with a share of the like item's level in its place, where there is one that has sold."""
    likes = history.panel.likes
    if likes is None:
        return usual
    level = levels_at(history, usual, likes.items, np.full(len(likes.items), origin))
    known = (likes.items >= 0) & (history.first_sale[likes.items] < origin)
    return np.where(known, likes.shares * level, usual)


def _first_prices(history: PanelHistory, name: str) -> Doubles:
    """Return the log of the price at which each item began, NaN where it never had one."""
    log_price = history.prices[name][0]
    first = np.isfinite(log_price).argmax(1)
    return np.asarray(log_price[np.arange(len(log_price)), first], np.float64)


def expected_units(history: ItemHistory, origin: int, level: Doubles, rows: Codes, days: Codes) -> Doubles:
    """Return level x season for items `rows` on `days`: what the boosting corrects."""
    season = history.season
    start = max(0, origin - history.panel.spacing.month)
    base = season[:, start:origin].mean(1) if origin > 0 else season.mean(1)
    group = history.codes[rows]
    return np.asarray(level[rows] * np.exp(season[group, days] - base[group]))
