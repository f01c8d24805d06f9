"""Quantiles from backtest errors: of cells by size, behaviour and lead, of totals by how whole windows missed.

Errors are learned as quantiles on one grid of shares; any level is read off between them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtri, stdtrit

from foreact.forecasting.inputs.arrays import Bools, Codes, Doubles, Floats
from foreact.forecasting.inputs.traits import NEW, PROMOTED, SEASONAL, Traits

# The shares that are learned; others are between them.
GRID = np.array(
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.165, 0.25, 0.35, 0.5, 0.65, 0.75, 0.835, 0.9, 0.95, 0.975, 0.98, 0.99, 0.995]
)
LOW, MIDDLE, HIGH = (int(np.searchsorted(GRID, level)) for level in (0.1, 0.5, 0.9))
INSIDE = GRID[HIGH] - GRID[LOW]
# Cells are binned by the size of their mean, finer at the top, where few cells sell most.
MOST_BINS = 20
TOP_CUTS = (0.97, 0.98, 0.987, 0.993, 0.997)
ROWS_A_BIN = 300
# What hardly sells has a bin of its own; what sells even less is taken for nothing.
HARDLY, LEAST_MEAN = 0.1, 0.005
LEADS = 2
# Calm, usual and restless items by how much they change for their mean; promoted, new and seasonal ones are apart.
UNREST = 3
KINDS = {PROMOTED: UNREST, NEW: UNREST + 1, SEASONAL: UNREST + 2}
CLASSES = UNREST + len(KINDS)
# A class is drawn towards its bin as if it had so many cells of the bin.
SHRINKAGE = 200
# An item's usual change joins its mean, so that a mean near nothing does not make errors endless.
CHANGE_SHARE = 0.2
# Fewer errors than this say nothing about a quantile.
FEWEST = 20
# However wrong a window was, bands are widened no more than this.
WIDEST = 3.0
# Where a single window leaves nothing to hold it against.
ONE_WINDOW = 1.5
# Where no backtest was possible: as wide as counts are, and a third either way.
SPREAD = 0.3
SIZES = np.array([0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0])
# The share of a single window's errors that all its days are taken to have in common.
COMMON_SHARE = 0.5
# Errors beyond these shares count as they do.
CLIPPED = np.array([0.02, 0.98])
# How many windows it takes to believe half of how their errors grow with the lead, and of where their middle is.
WINDOWS_TO_BELIEVE = 4.0


@dataclass(frozen=True)
class Intervals:
    """The errors' quantiles on the grid, relative to the mean."""

    # Between bins of the mean, and by bin between classes of unrest.
    edges: Doubles
    cuts: Doubles
    # bins x leads x classes x grid; no bins: the one item is the total.
    cells: Doubles
    # Of the total: grid, and by how much the log of its width grows over the horizon.
    totals: Doubles
    growth: Doubles

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by field name."""
        return asdict(self)


@dataclass(frozen=True)
class BacktestErrors:
    """Backtested cells (items x horizon) and totals (horizon) of one origin beside the actuals."""

    mean: Doubles
    actual: Doubles
    total_mean: Doubles
    total_actual: Doubles
    traits: Traits
    # Items that had sold before the origin; how far off others were says nothing of a level. None: all had.
    begun: Bools | None = None


def learn_intervals(cells: list[BacktestErrors], totals: list[BacktestErrors]) -> Intervals:
    """Learn the quantiles of cells and of totals from backtest errors."""
    band, growth = _learn_total_band(totals)
    if cells and all(len(errors.mean) == 1 for errors in cells):
        # The one item is the total, of which more windows are known.
        edges, cuts, table = np.zeros(0), np.zeros((0, UNREST - 1)), np.zeros((0, LEADS, CLASSES, len(GRID)))
    else:
        edges, cuts, table = _learn_cells(cells)
    return Intervals(edges, cuts, table, band, np.array([growth]))


def cell_quantiles(intervals: Intervals, mean: Doubles, traits: Traits, shares: Sequence[float]) -> Floats:
    """Return the quantiles of items x horizon, shares first: in order, never negative, nothing where little is due."""
    if not len(intervals.cells):
        return np.stack([total_quantiles(intervals, one, shares) for one in mean], axis=1)
    places, size = _locate_cells(mean, traits, intervals.edges, intervals.cuts)
    table = (intervals.cells @ _read_between(shares)).reshape(-1, len(shares))
    quantiles = np.empty((len(shares), *mean.shape), np.float32)
    size = np.where(mean >= LEAST_MEAN, size, 0.0)
    for level, column in zip(quantiles, table.T, strict=True):
        level[...] = column[places] * size
    return quantiles


def total_quantiles(intervals: Intervals, total: Doubles, shares: Sequence[float]) -> Floats:
    """Return the quantiles of the total by day, shares first."""
    width = _widths(intervals.growth[0], len(total))
    ratios = 1.0 + np.multiply.outer((intervals.totals - 1.0) @ _read_between(shares), width)
    return np.asarray(np.maximum(ratios * total, 0.0), np.float32)


def _read_between(shares: Sequence[float]) -> Doubles:
    """Return the weights, grid x shares, that read shares off the grid."""
    return np.array([np.interp(shares, GRID, one) for one in np.eye(len(GRID))])


def _learn_cells(windows: list[BacktestErrors]) -> tuple[Doubles, Doubles, Doubles]:
    """Return edges, cuts and the table of cells, each window's errors held against those of the others."""
    known = [_known_cells(errors) for errors in windows]
    mean = np.concatenate([np.zeros(0), *(errors.mean[here] for errors, here in zip(windows, known, strict=True))])
    if len(mean) < FEWEST:
        return SIZES, np.ones((len(SIZES) + 1, UNREST - 1)), _default_table()
    unrest = np.concatenate([_unrest(e.mean, e.traits)[here] for e, here in zip(windows, known, strict=True)])
    edges = _bin_edges(mean)
    bins = np.searchsorted(edges, mean, side="right")
    shares = np.arange(1, UNREST) / UNREST
    cuts = np.stack([np.quantile(unrest[bins == one], shares) for one in range(len(edges) + 1)])
    places, ratios = [], []
    for errors, here in zip(windows, known, strict=True):
        place, size = _locate_cells(errors.mean, errors.traits, edges, cuts)
        places.append(place[here])
        ratios.append(errors.actual[here] / size[here])
    window = np.repeat(np.arange(len(windows)), [len(one) for one in places])
    place, ratio = np.concatenate(places), np.concatenate(ratios)
    order = np.lexsort((ratio, place))
    by_place = (window[order], place[order], ratio[order])
    order = np.lexsort((ratio, place // (LEADS * CLASSES)))
    by_bin = (window[order], place[order] // (LEADS * CLASSES), ratio[order])
    table = np.maximum(_tabulate(by_place, by_bin, len(cuts)), 0.0)
    several = len(np.unique(window)) > 1
    factor = _required_widening(by_place, by_bin, len(cuts)) if several else ONE_WINDOW
    # What may well sell nothing is a matter of chance more than of how well its level is known.
    sure = table[:, [LOW]] > 0
    middle = table[:, [MIDDLE]]
    table = np.where(sure, np.maximum(middle + (table - middle) * factor, 0.0), table)
    return edges, cuts, table.reshape(len(cuts), LEADS, CLASSES, len(GRID))


def _known_cells(errors: BacktestErrors) -> Bools:
    known = np.isfinite(errors.actual) & (errors.mean >= LEAST_MEAN)
    return known if errors.begun is None else known & errors.begun[:, None]


# Of cells in the order of their place or bin, and there of their ratio: window, place or bin, ratio.
_Sorted = tuple[Codes, Codes, Doubles]


def _tabulate(by_place: _Sorted, by_bin: _Sorted, bins: int) -> Doubles:
    """Return the quantiles of every place, drawn towards its bin's where it has few cells."""
    count, own = _sorted_quantiles(by_place, bins * LEADS * CLASSES)
    _, whole = _sorted_quantiles(by_bin, bins)
    whole = np.repeat(whole, LEADS * CLASSES, axis=0)
    weight = (count / (count + SHRINKAGE))[:, None]
    return np.asarray(weight * own + (1 - weight) * whole)


def _sorted_quantiles(cells: _Sorted, places: int) -> tuple[Doubles, Doubles]:
    """Return how many cells each place has, and their quantiles; 0 where there are none."""
    _, place, ratio = cells
    count = np.bincount(place, minlength=places)
    if not len(ratio):
        return count.astype(np.float64), np.zeros((places, len(GRID)))
    at = (np.cumsum(count) - count)[:, None] + GRID * np.maximum(count - 1, 0)[:, None]
    below = np.minimum(at.astype(np.int64), len(ratio) - 1)
    above = np.minimum(below + 1, len(ratio) - 1)
    quantiles = ratio[below] + (at - below) * (ratio[above] - ratio[below])
    return count.astype(np.float64), np.where(count[:, None] > 0, quantiles, 0.0)


def _required_widening(by_place: _Sorted, by_bin: _Sorted, bins: int) -> float:
    """Return how many times as wide the others' quantiles must be to hold as much of a window as they say."""
    reaches = []
    for window in np.unique(by_place[0]):
        mine, kept = by_place[0] == window, by_bin[0] != window
        others = _tabulate(_select(by_place, ~mine), _select(by_bin, kept), bins)[by_place[1][mine]]
        two_sided = others[:, LOW] > 0
        reaches.append(_reach(by_place[2][mine][two_sided], others[two_sided]))
    return _widening(reaches)


def _select(cells: _Sorted, here: Bools) -> _Sorted:
    window, place, ratio = cells
    return window[here], place[here], ratio[here]


def _locate_cells(mean: Doubles, traits: Traits, edges: Doubles, cuts: Doubles) -> tuple[Codes, Doubles]:
    """Return each cell's place in the table, and the size that its errors are relative to."""
    bins = np.searchsorted(edges, mean, side="right")
    class_ = (_unrest(mean, traits)[..., None] > cuts[bins]).sum(-1)
    for kind, own in KINDS.items():
        class_[traits.kinds == kind] = own
    lead = (np.arange(mean.shape[1]) * LEADS) // max(mean.shape[1], 1)
    return (bins * LEADS + lead) * CLASSES + class_, mean + CHANGE_SHARE * traits.change[:, None]


def _unrest(mean: Doubles, traits: Traits) -> Doubles:
    return np.asarray(traits.change[:, None] / np.maximum(mean, 1e-9))


def _bin_edges(mean: Doubles) -> Doubles:
    """Return the edges between bins of the mean; fewer where there are few cells."""
    most = len(mean) / ROWS_A_BIN
    bins = int(np.clip(most, 1, MOST_BINS))
    cuts = [i / bins for i in range(1, bins)] + [cut for cut in TOP_CUTS if (1 - cut) * most >= 1]
    edges = np.unique(np.quantile(mean, cuts)) if cuts else np.zeros(0)
    hardly = int((mean < HARDLY).sum())
    if FEWEST <= hardly <= len(mean) - FEWEST:
        edges = np.union1d(edges, HARDLY)
    # An edge at the least mean would leave nothing below it, one of two in a gap nothing above.
    edges = edges[edges > mean.min()]
    filled = np.unique(np.searchsorted(edges, mean, side="right"))
    return np.asarray(edges[filled[1:] - 1])


def _default_table() -> Doubles:
    """Return the quantiles of counts whose rate is not well known, by bins of the mean at `SIZES`."""
    size = np.append(SIZES / 2, 2 * SIZES[-1])
    variance = 1 / size + SPREAD**2
    table: Doubles = variance[:, None] * gammaincinv(1 / variance[:, None], GRID)
    return np.asarray(np.tile(table[:, None, None], (1, LEADS, CLASSES, 1)))


def _learn_total_band(totals: list[BacktestErrors]) -> tuple[Doubles, float]:
    """Return the quantiles of actual over mean, and how their width grows with the lead; windows are newest first.

    The band of all windows is widened by as much as each window needed beyond the band of those before it, so that
    what drifts or grows is not taken for what it was.
    """
    miss = _window_misses(totals)
    if np.isfinite(miss).sum() < FEWEST:
        return 1.0 + SPREAD * np.asarray(ndtri(GRID)), 0.0
    growth = _width_growth(miss)
    miss = miss / _widths(growth, miss.shape[1])
    band = _pool_windows(miss)
    # Two windows at least, to tell what a whole one has in common.
    reach = [_reach(window[np.isfinite(window)], _pool_windows(miss[i + 1 :])) for i, window in enumerate(miss[:-2])]
    middle = band[MIDDLE]
    band = 1.0 + middle + (band - middle) * _widening(reach)
    # What is forecast is inside what is likely.
    band[: LOW + 1] = np.minimum(band[: LOW + 1], 1.0)
    band[HIGH:] = np.maximum(band[HIGH:], 1.0)
    return band, growth


def _pool_windows(miss: Doubles) -> Doubles:
    """Return the quantiles of a new window's misses.

    The days of a window miss together, so that eight windows are nearer to eight errors than to all their days: the
    more of the errors a whole window shares, the wider the band, and the less is read into which way they went.
    """
    errors = np.sort(miss[np.isfinite(miss)])
    freedom = _errors_worth(miss, errors)
    trust = freedom / (freedom + WINDOWS_TO_BELIEVE)
    either_way = _read_quantiles(np.sort(np.concatenate([errors, -errors])), GRID)
    quantiles = trust * _read_quantiles(errors, GRID) + (1 - trust) * either_way
    # As Student's intervals for a new value are wider than those of a known distribution.
    factor = float(stdtrit(freedom, GRID[HIGH]) / ndtri(GRID[HIGH])) * np.sqrt(1 + 1 / freedom)
    middle = quantiles[MIDDLE]
    return np.asarray(middle + (quantiles - middle) * min(factor, WIDEST))


def _reach(errors: Doubles, band: Doubles) -> Doubles:
    """Return how many times as far from the middle of its band each error is as the band's end on its side."""
    low, middle, high = band[..., [LOW, MIDDLE, HIGH]].T
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = (errors - middle) / np.where(errors < middle, low - middle, high - middle)
    # A band without width holds what is on it.
    return np.asarray(np.minimum(np.nan_to_num(reach, nan=0.0, posinf=WIDEST), WIDEST))


def _widening(reaches: list[Doubles]) -> float:
    """Return how many times as wide bands must be to hold as much as they say; they are never made narrower."""
    reach = np.concatenate([np.zeros(0), *reaches])
    return float(np.clip(np.quantile(reach, INSIDE), 1.0, WIDEST)) if len(reach) >= FEWEST else 1.0


def _window_misses(totals: list[BacktestErrors]) -> Doubles:
    """Return actual over mean, less 1, of windows x horizon; NaN where it is not known."""
    if not totals:
        return np.zeros((0, 0))
    mean = np.stack([errors.total_mean for errors in totals])
    actual = np.stack([errors.total_actual for errors in totals])
    miss = np.divide(actual, mean, out=np.full(mean.shape, np.nan), where=mean > 0) - 1.0
    return np.asarray(miss[np.isfinite(miss).any(1)])


def _width_growth(miss: Doubles) -> float:
    """Return the log of how much larger misses are in the second half of the horizon; never negative."""
    size = np.minimum(np.abs(miss), np.nanquantile(np.abs(miss), 0.95))
    half = miss.shape[1] // 2
    near, far = size[:, :half], size[:, half:]
    if not (np.isfinite(near).any() and np.isfinite(far).any() and np.nanmean(near) > 0 and np.nanmean(far) > 0):
        return 0.0
    believed = len(miss) / (len(miss) + WINDOWS_TO_BELIEVE)
    return float(np.clip(believed * np.log(np.nanmean(far) / np.nanmean(near)), 0.0, 1.0))


def _widths(growth: float, horizon: int) -> Doubles:
    """Return the relative width by lead: 1 in the middle of the horizon."""
    return np.asarray(np.exp(growth * ((2 * np.arange(horizon) + 1) / max(horizon, 1) - 1)))


def _read_quantiles(ordered: Doubles, shares: Doubles) -> Doubles:
    """Return the quantiles of numbers in order, as NumPy reads them between two."""
    at = (len(ordered) - 1) * shares
    below = at.astype(np.int64)
    low, high = ordered[below], ordered[np.minimum(below + 1, len(ordered) - 1)]
    share = at - below
    # From the nearer of the two, as NumPy does.
    return np.asarray(np.where(share < 0.5, low + (high - low) * share, high - (high - low) * (1 - share)))


def _errors_worth(miss: Doubles, errors: Doubles) -> float:
    """Return how many independent errors the misses are worth, by the share that whole windows have in common.

    The errors are those of all windows in order.
    """
    known = np.isfinite(miss)
    count = known.sum(1)
    clipped = np.clip(np.where(known, miss, 0.0), *_read_quantiles(errors, CLIPPED)) * known
    level = clipped.sum(1) / count
    within = float(((clipped - level[:, None] * known) ** 2).sum()) / max(float((count - 1).sum()), 1.0)
    total = float(count.sum())
    between = max(float((level**2 * count).sum()) / total - within / float(count.mean()), 0.0)
    share = between / (between + within) if len(miss) > 1 and between + within > 0 else COMMON_SHARE
    return 1.0 / (share / len(miss) + (1 - share) / total)
