"""Numbers that depart beyond what is likely are held back; what shops do passes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from components.train.holding import PublishedNumbers, compare_numbers, find_held
from foreact.parquet import encode_parquet
from foreact.publications import Kind, Reader, put_object
from foreact.spacing import Spacing
from tests.foreact.publications.stores import MemoryStore

AS_OF = date(2026, 3, 31)
LEVELS = {"A": 16.0, "B": 40.0, "C": 160.0}
ITEMS = ("x", "y", "z")


@dataclass(frozen=True)
class Store:
    """Units sold by item and past day, missing where unknown, and the total expected of each day ahead."""

    sold: np.ndarray
    ahead: np.ndarray
    as_of: date = AS_OF

    def history(self) -> bytes:
        item, day = np.nonzero(np.isfinite(self.sold))
        days = [self.as_of - timedelta(days=55 - int(place)) for place in day]
        names = [ITEMS[place] for place in item]
        return encode_parquet(pa.table({"item": names, "date": days, "units": self.sold[item, day]}))

    def totals(self) -> bytes:
        days = [self.as_of + timedelta(days=1 + place) for place in range(len(self.ahead))]
        means = {"mean": self.ahead, "p10": self.ahead * 0.8, "p90": self.ahead * 1.2}
        return encode_parquet(pa.table({"date": days, **means}))

    def times(self, factor: float) -> "Store":
        return replace(self, sold=self.sold * factor, ahead=self.ahead * factor)


Chain = dict[str, Store]


def make_chain(nights: int = 0) -> Chain:
    """Return what is published after so many more nights: the same sales, and those of the days since."""
    stores = {}
    for number, (name, level) in enumerate(LEVELS.items()):
        draw = np.random.default_rng(number)
        sold = draw.poisson(level / 3, (3, 80)).astype(float)[:, nights : nights + 56]
        stores[name] = Store(sold, np.full(28, level), AS_OF + timedelta(days=nights))
    return stores


def hold(new: Chain, last: Chain | None) -> dict[str, str]:
    blobs = MemoryStore()
    comparisons = {}
    for name, store in new.items():
        published = None
        if last and name in last:
            totals = put_object(blobs, f"{name}.totals.parquet", last[name].totals())
            history = put_object(blobs, f"{name}.history.parquet", last[name].history())
            published = PublishedNumbers(Spacing.DAILY, totals, history)
        objects: dict[Kind, bytes] = {"totals": store.totals(), "history": store.history()}
        comparisons[name] = compare_numbers(Spacing.DAILY, objects, published, Reader(blobs))
    return find_held(comparisons, Spacing.DAILY)


def change(chain: Chain, **stores: Callable[[Store], Store]) -> Chain:
    return {name: stores.get(name, lambda one: one)(store) for name, store in chain.items()}


def sell_nothing(days: int) -> Callable[[Store], Store]:
    def change_sold(store: Store) -> Store:
        sold = store.sold.copy()
        sold[:, -days:] = 0
        return replace(store, sold=sold)

    return change_sold


def promote(store: Store) -> Store:
    return replace(store, ahead=store.ahead * np.where(np.arange(28) < 7, 2, 1))


def close(store: Store) -> Store:
    """Sell nothing for ten days, as is planned for those ahead."""
    return replace(sell_nothing(10)(store), ahead=store.ahead * 0)


def close_for_a_week(store: Store) -> Store:
    return replace(store, ahead=store.ahead * (np.arange(28) >= 7))


POISONS: dict[str, tuple[Callable[[Chain], Chain], set[str]]] = {
    "everything times 1,000": (lambda now: {name: one.times(1000) for name, one in now.items()}, {"A", "B", "C"}),
    "one store times 1,000": (lambda now: change(now, B=lambda one: one.times(1000)), {"B"}),
    "two stores' ids swapped": (lambda now: {**now, "A": now["B"], "B": now["A"]}, {"A", "B"}),
    "all units zero": (lambda now: {name: one.times(0) for name, one in now.items()}, {"A", "B", "C"}),
    "all units blank": (
        lambda now: {name: replace(one, sold=one.sold * np.nan) for name, one in now.items()},
        {"A", "B", "C"},
    ),
    "forecasts of a code": (lambda now: change(now, A=lambda one: replace(one, ahead=one.ahead + 801_148)), {"A"}),
    "the last days zero everywhere": (
        lambda now: {name: sell_nothing(2)(one) for name, one in now.items()},
        {"A", "B", "C"},
    ),
    "a little more in all stores": (
        lambda now: {name: replace(one, ahead=one.ahead * 1.8) for name, one in now.items()},
        {"A", "B", "C"},
    ),
}


@pytest.mark.parametrize("name", POISONS)
def test_poison_is_held(name: str) -> None:
    poison, stores = POISONS[name]
    held = hold(poison(make_chain(1)), make_chain())
    assert held.keys() == stores
    for store, why in held.items():
        assert why.startswith("the newest numbers are held back: ")
        assert "--accept-departures" in why
        assert not any(f"'{other}'" in why for other in LEVELS if other != store)


GOOD: dict[str, Callable[[Chain], Chain]] = {
    "a night like others": lambda now: now,
    "a promotion": lambda now: change(now, A=promote),
    "a holiday": lambda now: {name: sell_nothing(1)(one) for name, one in now.items()},
    "a closing": lambda now: change(now, A=close),
    "a week of works": lambda now: change(now, C=close_for_a_week),
    "an opening": lambda now: {**now, "D": Store(np.full((3, 56), np.nan), np.full(28, 90.0), now["A"].as_of)},
    "sales that came late": lambda now: change(now, B=lambda one: replace(one, sold=one.sold * 1.1)),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_shops_do_passes(name: str) -> None:
    assert hold(GOOD[name](make_chain(1)), make_chain()) == {}


def test_a_first_publication_is_judged_by_its_own_sales() -> None:
    first = make_chain()
    assert hold(first, None) == {}
    held = hold(change(first, A=lambda one: replace(one, ahead=one.ahead * 50)), None)
    assert held.keys() == {"A"}
    assert "they expect 800 units a day where 1" in held["A"]
    short = {name: replace(one, sold=one.sold[:, :10]) for name, one in first.items()}
    assert hold(change(short, A=lambda one: replace(one, ahead=one.ahead * 50)), None) == {}


def test_an_earlier_day_is_compared_with_what_both_know() -> None:
    assert hold(make_chain(), make_chain(24)) == {}


def test_a_store_that_opens_again_passes() -> None:
    """It was thought to be closed for good, and sells what it always did."""
    thought = change(make_chain(), A=lambda one: replace(one, ahead=one.ahead * 1e-5))
    assert hold(make_chain(1), thought) == {}
