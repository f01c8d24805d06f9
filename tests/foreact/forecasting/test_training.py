import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foreact.errors import ForeactError
from foreact.forecasting import Forecast, GateOutcome, Panel, Simple, StoreModel, StoreResult, train_store
from foreact.forecasting.judging.backtest import backtest_origins
from foreact.spacing import Spacing
from tests.foreact.forecasting.panels import make_panel


def assert_sound(forecast: Forecast, panel: Panel) -> None:
    shape = (len(panel.items), panel.horizon)
    for values in (forecast.mean, forecast.p10, forecast.p50, forecast.p90):
        assert values.shape == shape
        assert np.isfinite(values).all()
        assert (values >= 0).all()
    assert (forecast.p10 <= forecast.p50).all()
    assert (forecast.p50 <= forecast.p90).all()
    assert (forecast.total_p10 <= forecast.total_mean).all()
    assert (forecast.total_mean <= forecast.total_p90).all()
    np.testing.assert_allclose(forecast.mean.sum(0), forecast.total_mean, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        sum(forecast.drivers.values(), np.zeros(panel.horizon)), forecast.total_mean, rtol=1e-3, atol=1e-2
    )


def test_a_store_is_forecast_better_than_by_seasonal_naive(panel: Panel, result: StoreResult) -> None:
    assert_sound(result.forecast, panel)
    assert result.decision.outcome is GateOutcome.PROMOTED
    accuracy, baselines = result.decision.accuracy, result.decision.baselines
    assert accuracy.scaled_error < 0.85 * baselines[Simple.SEASONAL_NAIVE].scaled_error
    assert accuracy.wape < baselines[Simple.WEEKDAY_MEAN].wape
    assert abs(accuracy.bias) < 0.05
    assert 0.06 < accuracy.above_p90 < 0.14
    assert result.forecast.drivers.keys() >= {"level", "weekday", "event", "flag"}


def test_the_band_of_the_only_item_is_that_of_the_total() -> None:
    forecast = train_store(make_panel(items=1, days=300, rate=50.0)).forecast
    np.testing.assert_array_equal(forecast.p10[0], forecast.total_p10)
    np.testing.assert_array_equal(forecast.p90[0], forecast.total_p90)


def test_windows_before_the_first_year_was_over_say_nothing_of_a_model_that_knows_the_seasons() -> None:
    assert min(backtest_origins(700, 28, Spacing.DAILY)) == 700 - 8 * 28
    assert backtest_origins(560, 28, Spacing.DAILY) == [532, 504, 476, 448, 420, 392]
    assert backtest_origins(400, 28, Spacing.DAILY) == [372, 344, 316, 288]
    assert len(backtest_origins(390, 28, Spacing.DAILY)) == 8
    assert backtest_origins(143, 28, Spacing.WEEKLY) == [115, 87, 59]


def test_a_known_event_ahead_lifts_its_day() -> None:
    panel = make_panel(days=390, horizon=14)
    forecast = train_store(panel).forecast
    day = next(i for i in range(14) if (390 + i) % 50 == 49)
    assert forecast.drivers["event"][day] > 0.2 * forecast.total_mean[day]


def test_a_date_that_stood_out_a_year_ago_stands_out_again_unless_an_event_has_moved() -> None:
    panel = make_panel(items=6, days=480, horizon=14, rate=200.0, events=False)
    peak = panel.days + 5
    units = panel.units.copy()
    units[:, peak - 365] *= 2
    day = np.arange(len(panel.dates))
    plain, again = (train_store(replace(panel, units=each)).forecast.total_mean for each in (panel.units, units))
    lift = again / plain
    assert lift[5] > 1.25
    assert (np.abs(np.delete(lift, [4, 5, 6, 7]) - 1) < 0.03).all()
    # Last year a feast's day, this year a day like any other.
    known = panel.known | {"feast": (day == peak - 365).astype(np.float32) + 0.0}
    known["feast"][::53] = 1
    moved = replace(panel, units=units, known=known, categories={"feast": ["none", "Feast"]})
    assert train_store(moved).forecast.total_mean[5] < 1.15 * plain[5]


@pytest.mark.parametrize(
    "panel",
    [
        make_panel(items=1, days=200),
        make_panel(items=1, days=3),
        make_panel(items=5, days=1, horizon=3),
        make_panel(items=5, days=30, horizon=28),
        make_panel(items=15, days=90, horizon=1),
        make_panel(items=15, days=500, horizon=60, groups=0),
        make_panel(items=15, days=200, groups=0, events=False, price=False),
        make_panel(items=15, days=200, rate=0.02),
        make_panel(items=3, days=200, rate=5000.0),
    ],
    ids=["one item", "three days", "one day", "a month", "one ahead", "long ahead", "plain", "rare", "large"],
)
@pytest.mark.filterwarnings("error")
def test_any_panel_has_a_sound_forecast(panel: Panel) -> None:
    assert_sound(train_store(panel).forecast, panel)


@pytest.mark.parametrize("days", [150, 330, 400])
@pytest.mark.parametrize("rate", [0.05, 0.5, 500.0])
@pytest.mark.filterwarnings("error")
def test_many_items_of_a_short_history_are_learnt_from(days: int, rate: float) -> None:
    panel = make_panel(items=400, days=days, rate=rate)
    result = train_store(panel)
    assert_sound(result.forecast, panel)
    assert result.model is not None
    assert result.model.items is not None
    assert result.decision.outcome is GateOutcome.PROMOTED, result.decision.reason


def test_a_model_that_gives_no_numbers_forecasts_nothing(panel: Panel, result: StoreResult) -> None:
    class Overflown:
        def predict(self, features: np.ndarray) -> np.ndarray:
            return np.full(len(features), np.inf)

    assert result.model is not None
    assert result.model.items is not None
    broken = replace(result.model, items=replace(result.model.items, booster=Overflown()))
    with pytest.raises(ForeactError, match="a forecast that is not finite"), np.errstate(invalid="ignore"):
        broken.predict(panel)


def test_no_sales_at_all_forecast_zero() -> None:
    panel = make_panel(items=12, days=200)
    nothing = replace(panel, units=np.where(np.isnan(panel.units), panel.units, 0).astype(np.float32))
    forecast = train_store(nothing).forecast
    assert_sound(forecast, nothing)
    assert forecast.total_mean.max() < 0.1
    unknown = replace(panel, units=np.full_like(panel.units, np.nan))
    assert train_store(unknown).forecast.total_mean.max() < 0.1


def test_a_saved_model_forecasts_the_same(panel: Panel, result: StoreResult, tmp_path: Path) -> None:
    result.model.save(tmp_path / "model")
    loaded = StoreModel.load(tmp_path / "model")
    again = loaded.predict(panel)
    np.testing.assert_array_equal(again.mean, result.forecast.mean)
    np.testing.assert_array_equal(again.p90, result.forecast.p90)
    kept = train_store(panel, champion=loaded, margin=-1.0)
    assert kept.decision.outcome is GateOutcome.KEPT
    assert kept.decision.champion_accuracy.scaled_error == pytest.approx(result.decision.accuracy.scaled_error)
    np.testing.assert_array_equal(kept.forecast.mean, result.forecast.mean)


def test_a_saved_model_holds_nothing_to_execute(result: StoreResult, tmp_path: Path) -> None:
    result.model.save(tmp_path)
    assert {file.suffix for file in tmp_path.iterdir()} == {".json", ".npz", ".skops"}
    json.loads((tmp_path / "model.json").read_text())
    with zipfile.ZipFile(tmp_path / "arrays.npz") as arrays:
        assert not any(b"|O" in arrays.read(name)[:128] for name in arrays.namelist())
    (tmp_path / "items.skops").write_bytes(b"not a model")
    with pytest.raises(ForeactError, match="train the model again"):
        StoreModel.load(tmp_path)
    with pytest.raises(ForeactError, match="does not contain a complete model"):
        StoreModel.load(tmp_path / "nowhere")


def test_the_same_data_and_seed_give_the_same_bytes(panel: Panel, result: StoreResult) -> None:
    again = train_store(panel, seed=3)
    for name in ("mean", "p10", "p90", "total_p10"):
        assert getattr(again.forecast, name).tobytes() == getattr(result.forecast, name).tobytes()


def test_what_a_live_model_is_worth_does_not_hang_on_its_challenger(panel: Panel) -> None:
    champion = train_store(panel.truncate_at(546)).model
    # The challenger reads the panel in another way: by these groups.
    lines = {"line": np.array([f"line {i % 4}" for i in range(len(panel.items))])}
    rivals = [
        train_store(each, champion=champion) for each in (panel, replace(panel, attributes=lines | panel.attributes))
    ]
    one, other = (rival.decision for rival in rivals)
    assert one.champion_accuracy == other.champion_accuracy
    assert one.accuracy != other.accuracy


def test_a_live_model_is_judged_on_later_days_and_may_stay(panel: Panel) -> None:
    champion = train_store(panel.truncate_at(546)).model
    later = train_store(panel, champion=champion, margin=0.0)
    assert later.decision.champion_accuracy.scaled_error > 0
    assert later.decision.reason
    stays = train_store(panel, champion=champion, margin=-1.0)
    assert stays.decision.outcome is GateOutcome.KEPT
    assert stays.decision.fallback is None, "a live model that the gate keeps stands in for nothing"
    assert np.array_equal(stays.forecast.mean, champion.predict(panel).mean)
    assert stays.forecast.dates[0] == panel.dates[panel.days]
    assert_sound(stays.forecast, panel)


def test_days_whose_plan_is_unknown_are_forecast_as_usual_ones() -> None:
    """The plan ends in the middle of the horizon: no flag, no price, and a number that moves demand a lot.

    Before, one item lacks the price of a day, and one has none any more: it is off sale, and stays so.
    """
    panel = make_panel(items=4, days=210, events=False)
    guests = np.random.default_rng(2).normal(300, 60, len(panel.dates)).astype(np.float32)
    known = {**panel.known, "guests": guests}
    for values in known.values():
        values[..., panel.days + 7 :] = np.nan
    known["price"][1, panel.days + 3] = np.nan
    known["price"][2, panel.days :] = np.nan
    forecast = train_store(replace(panel, units=np.round(panel.units * guests / 300), known=known)).forecast
    usual = panel.units[:, : panel.days].reshape(4, -1, 7).mean(1)
    assert forecast.mean[1, 3] > 0.5 * usual[1, 3]
    assert not forecast.mean[2].any()
    on_sale = [0, 1, 3]
    assert np.allclose(forecast.mean[on_sale, 7:].sum(0) / usual[on_sale].sum(0), 1, atol=0.3)
