"""What the made-up chain sells: the demand that one may expect of a day, and what the tills recorded."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foreact.demo.chain import WEEKDAYS, YEARS, Chain
from foreact.forecasting.inputs.arrays import Doubles

Flags = NDArray[np.bool_]
# How many days a shelf stays empty at most.
LONGEST_WAIT = 6


@dataclass(frozen=True)
class Sales:
    """One store, days down and items across, over the history and the horizon."""

    store: str
    region: str
    on_sale: Flags
    price: Doubles
    promotion: Flags
    # The truth: the mean of what customers want that day; nothing on days when the store is closed.
    expected: Doubles
    # What was sold, and whether the shelf went empty: history only has a meaning up to the chain's `days`.
    units: NDArray[np.int64]
    stockout: Flags


def simulate_sales(chain: Chain, store: int) -> Sales:
    """Draw one store's sales; a longer chain begins with the very same days."""
    days, items = len(chain.dates), len(chain.items)
    offers = np.random.default_rng([chain.seed, 1, sorted(set(chain.regions)).index(chain.regions[store])])
    promotion, price, cut = _plan_offers(chain, offers)
    day = np.arange(days)[:, None]
    on_sale = (day >= chain.launch) & (day < chain.closing)
    expected = np.where(on_sale, _expect_units(chain, store, promotion, cut), 0.0)

    shock, spread, sold, empty = (np.random.default_rng([chain.seed, 2, store, stream]) for stream in range(4))
    mean = expected * np.exp(shock.normal(-(0.05**2) / 2, 0.05, (days, 1))) * spread.gamma(25, 1 / 25, (days, items))
    wanted = sold.poisson(mean)
    chance = empty.uniform(size=(days, items))
    share = chance * 40 % 1 * 0.5 + 0.2  # of the demand that the shelf could serve
    runs_out = (chance < np.where(promotion, 0.02, 0.005)) & (wanted >= 3)
    units = np.where(runs_out, (wanted * share).astype(np.int64), wanted)
    stockout = runs_out.copy()
    for wait in range(1, LONGEST_WAIT + 1):
        # The lorry comes on one of the days after.
        waiting = np.zeros_like(runs_out)
        waiting[wait:] = runs_out[:-wait] & (chance[:-wait] * 8_000 % 1 * (LONGEST_WAIT + 1) >= wait)
        stockout |= waiting & (expected > 0)
        units[waiting] = 0
    return Sales(
        store=chain.stores[store],
        region=chain.regions[store],
        on_sale=on_sale,
        price=price,
        promotion=promotion,
        expected=expected,
        units=units,
        stockout=stockout,
    )


def _plan_offers(chain: Chain, rng: np.random.Generator) -> tuple[Flags, Doubles, Doubles]:
    """Plan a region's promotions, a week every two to three months an item; its prices; those relative to the first."""
    days, items = len(chain.dates), len(chain.items)
    every = rng.integers(8, 13, items)
    phase = rng.integers(0, 12, items)
    week = (np.arange(days) // 7)[:, None]
    promotion = (week + phase) % every == 0
    normal = np.round(rng.lognormal(0.9, 0.5, items), 1) + 0.09
    steps = 1 + 0.04 * ((np.arange(days)[:, None] + rng.integers(0, 200, items)) // 210)
    price = np.round(normal * steps * np.where(promotion, 0.8, 1.0), 2)
    return promotion, price, price / normal


def _expect_units(chain: Chain, store: int, promotion: Flags, cut: Doubles) -> Doubles:
    """Multiply the habits: size, growth, weekday, time of year, events, promotion and price."""
    weekday = (chain.dates.astype("datetime64[D]").astype(np.int64) + 3) % 7
    of_year = (chain.dates - chain.dates.astype("datetime64[Y]")).astype(np.int64)
    week = np.array([WEEKDAYS[department] for department in chain.departments]).T[weekday]
    size, peak = np.array([YEARS[department] for department in chain.departments]).T
    year = 1 + size * np.cos(2 * np.pi * (of_year[:, None] - peak) / 365.25)
    trend = (1 + chain.growth[store]) ** (np.arange(len(chain.dates)) / 365.25)
    offer = np.where(promotion, chain.uplift, 1.0) * cut**chain.elasticity
    level = chain.size[store] * trend * chain.calendar
    return np.asarray(level[:, None] * chain.base * week * year * offer)
