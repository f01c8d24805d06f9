"""What every installed expert must keep, tried on made-up stores."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np

from foreact.forecasting.experts.installed import ExpertError, fit_expert, read_fit
from foreact.forecasting.experts.protocol import Expert
from foreact.forecasting.inputs.arrays import Doubles, Floats
from foreact.forecasting.inputs.columns import infer_columns
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.reading import PanelReading, read_panel
from foreact.spacing import Spacing

SEED = 5
WEEK = np.array([1.0, 0.9, 0.9, 1.0, 1.2, 1.6, 0.6])
# Units that no made-up item sells.
MANY = 1e4
SKIPS = "says whether it can forecast a store"


@dataclass(frozen=True)
class Finding:
    """What one check found on one store; without a problem it is passed."""

    store: str
    check: str
    problem: str = ""
    # Why the expert does not forecast this store; empty where it does.
    skip: str = ""


def check_expert(expert: Expert) -> Iterator[Finding]:
    """Yield what each check finds on each made-up store; where the expert skips a store, the reason alone."""
    for store, panel in make_panels().items():
        try:
            skip = expert.explain_skip(_read(deepcopy(panel)))
        except Exception as error:
            yield Finding(store, SKIPS, f"{type(error).__name__}: {error}")
            continue
        if skip:
            yield Finding(store, SKIPS, skip=str(skip))
            continue
        for name, check in CHECKS.items():
            try:
                # An expert may change what it reads, which one check alone is there to find.
                yield Finding(store, name, check(expert, deepcopy(panel)))
            except Exception as error:
                yield Finding(store, name, str(error) if isinstance(error, ExpertError) else repr(error))
                # What is broken would fail the other checks, too.
                break


def _check_forecast(expert: Expert, panel: Panel) -> str:
    # The shape and that it is finite are asked of every forecast.
    mean = _forecast(expert, panel)
    return f"{int((mean < 0).sum()):,} of {mean.size:,} are negative" if (mean < 0).any() else ""


def _check_repetition(expert: Expert, panel: Panel) -> str:
    return _compare(_forecast(expert, panel), _forecast(expert, panel), "a second fit with the same seed forecasts")


def _check_saving(expert: Expert, panel: Panel) -> str:
    reading = _read(panel)
    fit = expert.fit(reading, SEED)
    again = read_fit(expert, fit.save())
    return _compare(np.asarray(fit.forecast(reading)), again.forecast(reading), "the fit read back forecasts")


def _check_future(expert: Expert, panel: Panel) -> str:
    """Compare with the same store whose units after the origin are there to be read."""
    units = panel.units.copy()
    units[:, panel.days :] = MANY
    return _compare(_forecast(expert, panel), _forecast(expert, replace(panel, units=units)), "with later units it is")


def _check_reading(expert: Expert, panel: Panel) -> str:
    reading = _read(panel)
    before = deepcopy(reading)
    fit_expert(expert, reading, SEED).forecast(reading)
    kept = _same(before.panel.units, reading.panel.units) and _same(before.demand.units, reading.demand.units)
    kept = kept and all(_same(before.panel.known[name], values) for name, values in reading.panel.known.items())
    return "" if kept else "it changed arrays of the reading, which others read after it"


def _check_later(expert: Expert, panel: Panel) -> str:
    """Forecast by an earlier fit, as backtests and live models do, after one item came and one went."""
    earlier = panel.truncate_at(panel.days - panel.spacing.week)
    reading = _read(_take_items(earlier, slice(0, -1)) if len(panel.items) > 1 else earlier)
    if expert.explain_skip(reading):
        return ""
    fit = fit_expert(expert, reading, SEED)
    fit.forecast(_read(_take_items(panel, slice(None, None, -1))))
    fit.forecast(_read(_take_items(panel, slice(-1, None))))
    return ""


CHECKS: dict[str, Callable[[Expert, Panel], str]] = {
    "forecasts items x horizon, finite and not negative": _check_forecast,
    "forecasts the same twice": _check_repetition,
    "forecasts the same when saved and loaded": _check_saving,
    "reads nothing after the origin": _check_future,
    "leaves the reading as it is": _check_reading,
    "forecasts later days and other items than those of the fit": _check_later,
}


def make_panels() -> dict[str, Panel]:
    """Return the made-up stores by what is special about each."""
    daily = _make_panel(Spacing.DAILY, 800)
    days = np.arange(len(daily.dates))
    units = daily.units.copy()
    closed = (days % 7 == 6) | (days % 365 == 358)
    units[:, closed & (days < daily.days)] = 0
    unknown = daily.units.copy()
    unknown[np.random.default_rng(SEED).random(unknown.shape) < 0.2] = np.nan
    # One item opened late, and nothing is known of another.
    unknown[0, : daily.days - 40] = np.nan
    unknown[1] = np.nan
    return {
        "daily": daily,
        "weekly": _make_panel(Spacing.WEEKLY, 150),
        "monthly": _make_panel(Spacing.MONTHLY, 48),
        "short history": _make_panel(Spacing.DAILY, 30),
        "one item": _make_panel(Spacing.DAILY, 500, items=1),
        "closed days": replace(daily, units=units, open=np.repeat(~closed[None], len(daily.items), axis=0)),
        "unknown cells": replace(daily, units=unknown),
    }


def _make_panel(spacing: Spacing, days: int, items: int = 6) -> Panel:
    random = np.random.default_rng(SEED)
    count = days + spacing.usual_horizon
    period = np.arange(count)
    profile = WEEK[period % 7] if spacing is Spacing.DAILY else np.ones(count)
    season = 1 + 0.3 * np.sin(2 * np.pi * period / spacing.year)
    promotion = (random.random((items, count)) < 0.1).astype(np.float32)
    level = random.uniform(0.5, 20, items)[:, None]
    units = random.poisson(level * profile * season * (1 + 0.5 * promotion)).astype(np.float32)
    units[:, days:] = np.nan
    return Panel(
        store="made up",
        items=np.array([f"item {item}" for item in range(items)]),
        dates=spacing.list_dates(np.datetime64("2022-01-03", "D"), count),
        days=days,
        units=units,
        known={"promotion": promotion, "guests": random.normal(100, 10, count).astype(np.float32)},
        attributes={"department": np.array([f"department {item % 2}" for item in range(items)])},
        spacing=spacing,
    )


def _take_items(panel: Panel, part: slice) -> Panel:
    return replace(
        panel,
        items=panel.items[part],
        units=panel.units[part],
        open=None if panel.open is None else panel.open[part],
        known={name: values[part] if values.ndim == 2 else values for name, values in panel.known.items()},
        attributes={name: values[part] for name, values in panel.attributes.items()},
    )


def _read(panel: Panel) -> PanelReading:
    return read_panel(panel, infer_columns(panel))


def _forecast(expert: Expert, panel: Panel) -> Doubles:
    reading = _read(panel)
    return fit_expert(expert, reading, SEED).forecast(reading)


def _compare(one: Doubles, other: Doubles, what: str) -> str:
    return "" if _same(one, other) else f"{what} something else in {int((one != other).sum()):,} of {one.size:,} cells"


def _same(one: Floats | Doubles, other: Floats | Doubles) -> bool:
    return np.array_equal(one, other, equal_nan=True)
