"""The made-up chain: its stores, its items and their habits, its calendar."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.inputs.arrays import Doubles

PLACES = {
    "North": ("Kiel", "Bremen", "Rostock"),
    "West": ("Essen", "Bonn", "Trier"),
    "South": ("Ulm", "Passau", "Freiburg", "Lindau"),
}
ASSORTMENT = {
    "dairy": "Whole Milk,Low-fat Milk,Butter,Natural Yoghurt,Gouda,Cream,Quark,Mozzarella,Oat Drink,Buttermilk",
    "bakery": "White Bread,Rye Bread,Rolls,Croissant,Pretzel,Toast,Apple Cake,Muffin,Stollen,Baguette",
    "produce": "Bananas,Apples,Tomatoes,Cucumber,Lettuce,Potatoes,Onions,Strawberries,Asparagus,Oranges",
    "drinks": "Still Water,Sparkling Water,Cola,Orange Juice,Beer,Wheat Beer,Iced Tea,Lemonade,Red Wine,Coffee",
    "household": "Dish Soap,Washing Powder,Kitchen Roll,Bin Bags,Candles,Batteries,Light Bulbs,Matches,Sponges,Foil",
}
# By department: weekday factors from Monday to Sunday; size of the yearly wave and the day of the year of its peak.
WEEKDAYS = {
    "dairy": (0.95, 0.90, 0.90, 0.98, 1.20, 1.35, 0.72),
    "bakery": (0.85, 0.85, 0.90, 0.95, 1.10, 1.50, 0.85),
    "produce": (1.05, 0.90, 0.95, 1.05, 1.25, 1.20, 0.60),
    "drinks": (0.75, 0.75, 0.80, 0.95, 1.45, 1.60, 0.70),
    "household": (1.05, 1.00, 1.00, 1.00, 1.10, 1.30, 0.55),
}
YEARS = {
    "dairy": (0.05, 20),
    "bakery": (0.12, 350),
    "produce": (0.20, 160),
    "drinks": (0.35, 200),
    "household": (0.15, 1),
}
# What an event does to the day two before it, one before it, and the day itself (0: closed).
EVENTS = {
    "New Year": (1.10, 1.30, 0.0),
    "Good Friday": (1.20, 1.45, 0.0),
    "Easter Monday": (1.00, 1.00, 0.0),
    "Labour Day": (1.05, 1.25, 0.0),
    "Ascension": (1.05, 1.20, 0.85),
    "Whit Monday": (1.05, 1.20, 0.80),
    "Unity Day": (1.00, 1.20, 0.80),
    "Christmas Eve": (1.40, 1.60, 0.70),
    "Christmas Day": (1.00, 1.00, 0.0),
    "Boxing Day": (1.00, 1.00, 0.0),
}


@dataclass(frozen=True)
class Chain:
    """What the chain is, and the habits that its sales are drawn from."""

    seed: int
    dates: NDArray[np.datetime64]
    days: int
    stores: list[str]
    regions: list[str]
    items: list[str]
    departments: list[str]
    size: Doubles  # by store
    growth: Doubles  # by store, a year
    base: Doubles  # by item: units of an average day in an average store
    elasticity: Doubles  # by item
    uplift: Doubles  # by item: what a promotion does beyond its price
    launch: NDArray[np.int64]  # by item: the first day on sale
    closing: NDArray[np.int64]  # by item: the day after the last one on sale
    events: NDArray[np.str_]  # by day, "" for none
    calendar: Doubles  # by day: what events do to demand; 0 where the stores are closed


def make_chain(
    last: date, horizon: int = 28, *, days: int = 912, stores: int = 10, items: int = 50, seed: int = 7
) -> Chain:
    """Make a chain whose history ends at `last`; the same seed and first day give the same chain, however long."""
    rng = np.random.default_rng([seed, 0])
    first = np.datetime64(last) - (days - 1)
    dates = first + np.arange(days + horizon)
    names, regions = _name_stores(stores)
    products, departments = _name_items(items)
    base = rng.lognormal(1.6, 0.9, items)
    kind = np.arange(items) % 10
    base[kind == 7] = rng.uniform(0.08, 0.4, int((kind == 7).sum()))  # sells now and then
    planned = min(days, 912)
    launch = np.zeros(items, dtype=np.int64)
    launch[kind == 8] = (planned * np.resize([0.83, 0.97, 0.88, 0.78, 0.93], (kind == 8).sum())).astype(np.int64)
    closing = np.full(items, len(dates) + 1_000, dtype=np.int64)
    closing[(kind == 9) & (np.arange(items) % 30 == 9)] = int(planned * 0.9)
    events, calendar = _make_calendar(dates)
    return Chain(
        seed=seed,
        dates=dates,
        days=days,
        stores=names,
        regions=regions,
        items=products,
        departments=departments,
        size=rng.lognormal(0, 0.35, stores),
        growth=rng.normal(0.02, 0.03, stores),
        base=base,
        elasticity=rng.uniform(-2.0, -0.8, items),
        uplift=rng.uniform(1.2, 1.7, items),
        launch=launch,
        closing=closing,
        events=events,
        calendar=calendar,
    )


def find_easter(year: int) -> date:
    """Return Easter Sunday, by the anonymous Gregorian computus."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, f // 31, f % 31 + 1)


def list_holidays(year: int) -> dict[date, str]:
    """Return the chain's holidays of a year."""
    sunday = find_easter(year)
    return {
        date(year, 1, 1): "New Year",
        sunday - timedelta(days=2): "Good Friday",
        sunday + timedelta(days=1): "Easter Monday",
        date(year, 5, 1): "Labour Day",
        sunday + timedelta(days=39): "Ascension",
        sunday + timedelta(days=50): "Whit Monday",
        date(year, 10, 3): "Unity Day",
        date(year, 12, 24): "Christmas Eve",
        date(year, 12, 25): "Christmas Day",
        date(year, 12, 26): "Boxing Day",
    }


def _name_stores(count: int) -> tuple[list[str], list[str]]:
    named = [(place, region) for region, places in PLACES.items() for place in places]
    if count > len(named):
        regions = list(PLACES)
        named = [(f"S{number:05d}", regions[number % len(regions)]) for number in range(1, count + 1)]
    return [name for name, _ in named[:count]], [region for _, region in named[:count]]


def _name_items(count: int) -> tuple[list[str], list[str]]:
    named = [(item, department) for department, line in ASSORTMENT.items() for item in line.split(",")]
    if count > len(named):
        departments = list(ASSORTMENT)
        named = [(f"I{number:05d}", departments[number % len(departments)]) for number in range(1, count + 1)]
    elif count < len(named):
        named = named[:: len(named) // count]
    return [name for name, _ in named[:count]], [department for _, department in named[:count]]


def _make_calendar(dates: NDArray[np.datetime64]) -> tuple[NDArray[np.str_], Doubles]:
    """Return each day's event, and the factor that events before and at the day make of its demand."""
    position = {day: index for index, day in enumerate(dates.tolist())}
    events = np.full(len(dates), "", dtype="U16")
    factor = np.ones(len(dates))
    closed = np.zeros(len(dates), dtype=bool)
    for year in range(dates[0].tolist().year, dates[-1].tolist().year + 2):
        for day, event in list_holidays(year).items():
            for lead, effect in zip((2, 1, 0), EVENTS[event], strict=True):
                index = position.get(day - timedelta(days=lead))
                if index is not None:
                    factor[index] *= effect or 1.0
                    closed[index] |= effect == 0
            if day in position:
                events[position[day]] = event
    factor[closed] = 0.0
    return events, factor
