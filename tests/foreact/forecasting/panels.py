"""Small panels with a known pattern, seeded."""

import numpy as np

from foreact.forecasting.inputs.panel import Panel


def make_panel(
    items: int = 20,
    days: int = 420,
    horizon: int = 14,
    *,
    rate: float = 6.0,
    groups: int = 2,
    seed: int = 1,
    events: bool = True,
    price: bool = True,
) -> Panel:
    """Return items with a weekly pattern, an event every 50 days, a flag, and a price cut now and then."""
    random = np.random.default_rng(seed)
    end = days + horizon
    dates = np.datetime64("2022-01-03", "D") + np.arange(end)
    week = np.array([1.0, 0.9, 0.9, 1.0, 1.2, 1.6, 0.6])[np.arange(end) % 7]
    event = (np.arange(end) % 50 == 49).astype(np.float32)
    flag = (np.arange(end) % 30 < 5).astype(np.float32)
    level = rate * random.gamma(2.0, 0.5, items)
    cut = random.random((items, end // 14 + 1)).repeat(14, axis=1)[:, :end] < 0.15
    cost = np.where(cut, 0.8, 1.0) * random.uniform(1, 9, items)[:, None]
    demand = level[:, None] * week * (1 + 0.5 * event) * (1 + 0.2 * flag) * np.where(cut, 1.5, 1.0)
    units = random.poisson(demand).astype(np.float32)
    units[:, days:] = np.nan
    known: dict[str, np.ndarray] = {"flag": flag}
    categories: dict[str, list[str]] = {}
    if events:
        known["event"] = event
        categories["event"] = ["none", "Feast"]
    if price:
        known["price"] = cost.astype(np.float32)
    names = np.array([f"item {i:03d}" for i in range(items)])
    attributes = {"dept": np.array([f"dept {i % groups}" for i in range(items)])} if groups else {}
    return Panel(
        store="s1",
        items=names,
        dates=dates,
        days=days,
        units=units,
        known=known,
        categories=categories,
        attributes=attributes,
    )
