"""What an item without a past borrows: of its like item, or of the others by price, attributes and age."""

from dataclasses import replace

import numpy as np
import pytest

from foreact.forecasting.inputs.columns import infer_columns
from foreact.forecasting.inputs.panel import Likes, Panel
from foreact.forecasting.items.levels import levels_at
from foreact.forecasting.reading import read_panel
from tests.foreact.forecasting.panels import make_panel

# Cheap ones sell 20 a day, dear ones 2; the last item is new.
ITEMS, DAYS = 21, 200


def make_shop(price: float = 1.0, brand: str = "") -> Panel:
    """Return a shop whose even items are cheap and of brand a, its odd ones dear and of brand b."""
    panel = make_panel(ITEMS, DAYS, groups=0, events=False)
    dear = np.arange(ITEMS) % 2 == 1
    units = np.where(dear, 2.0, 20.0)[:, None].repeat(DAYS + panel.horizon, 1).astype(np.float32)
    units[:, DAYS:] = np.nan
    units[-1] = np.nan
    cost = np.where(dear, 9.0, 1.0)
    cost[-1] = price
    cut = np.where(np.arange(DAYS + panel.horizon) % 20 == 19, 0.9, 1.0)
    known = {"price": np.outer(cost, cut).astype(np.float32)} if price else {}
    brands = np.where(dear, "b", "a")
    brands[-1] = brand
    return replace(panel, units=units, known=known, attributes={"brand": brands} if brand else {})


def borrowed(panel: Panel) -> float:
    return float(read_panel(panel, infer_columns(panel)).usual[-1])


@pytest.mark.parametrize(("price", "units"), [(1.0, 20.0), (9.0, 2.0)])
def test_a_price_chooses(price: float, units: float) -> None:
    assert borrowed(make_shop(price)) == pytest.approx(units, rel=0.1)


def test_attributes_choose() -> None:
    columns = infer_columns(make_shop(0.0))
    cheap, dear = (read_panel(make_shop(0.0, brand), columns).usual[-1] for brand in "ab")
    assert cheap > 2 * dear


def test_items_that_began_lately_count_most() -> None:
    panel = make_shop(0.0)
    units = panel.units.copy()
    units[1::2, :150] = np.nan
    long = np.concatenate([units[:, :50].repeat(12, 1), units], axis=1)
    dates = panel.dates[0] - 600 + np.arange(len(panel.dates) + 600)
    assert borrowed(replace(panel, dates=dates, days=800, units=long)) < 0.7 * borrowed(panel)


def test_a_like_item_lends_a_share_of_its_level() -> None:
    panel = make_shop(9.0)
    like = np.full(ITEMS, -1)
    like[-1] = 0
    shares = np.full(ITEMS, 0.5)
    assert borrowed(replace(panel, likes=Likes(like, shares))) == pytest.approx(10.0, rel=0.05)
    like[-1] = -1
    assert borrowed(replace(panel, likes=Likes(like, shares))) == borrowed(panel)


def test_what_is_borrowed_fades_with_days_of_its_own() -> None:
    panel = make_shop(1.0)
    units = panel.units.copy()
    levels = []
    for own in (0, 3, 10, 28):
        units[-1, DAYS - own : DAYS] = 4.0
        reading = read_panel(replace(panel, units=units), infer_columns(panel))
        last = np.array([ITEMS - 1])
        levels.append(levels_at(reading.history, reading.usual, last, np.array([DAYS]))[0])
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > 15 > 10 > levels[2] > levels[3] > 3.5
