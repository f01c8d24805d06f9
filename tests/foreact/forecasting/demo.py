"""A store of the made-up chain as a panel, with what may be expected of the days ahead beside it."""

import numpy as np
from numpy.typing import NDArray

from foreact.demo import Chain, Sales
from foreact.forecasting.inputs.panel import Panel


def demo_panel(chain: Chain, sales: Sales, *, tell_stockouts: bool = True) -> tuple[Panel, NDArray[np.float64]]:
    """Return the panel and the truth: items x days ahead, what customers want on average."""
    days, closed = chain.days, chain.calendar == 0
    on_sale = sales.on_sale & ~closed[:, None]
    units = np.where(on_sale, sales.units, np.nan).T.astype(np.float32)
    units[:, days:] = np.nan
    words = sorted(set(chain.events.tolist()) | {""})
    panel = Panel(
        store=sales.store,
        items=np.array(chain.items),
        dates=chain.dates,
        days=days,
        units=units,
        open=np.repeat(~closed[None, :], len(chain.items), axis=0),
        stockout=(sales.stockout & (np.arange(len(chain.dates)) < days)[:, None]).T if tell_stockouts else None,
        known={
            "event": np.array([words.index(word) for word in chain.events.tolist()], np.float32),
            "price": np.where(sales.on_sale, sales.price, np.nan).T.astype(np.float32),
            "promotion": sales.promotion.T.astype(np.float32),
        },
        categories={"event": words},
        attributes={"department": np.array(chain.departments)},
    )
    return panel, sales.expected[days:].T
