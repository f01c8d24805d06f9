"""The made-up chain as files that `foreact run` reads."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from foreact.demo.chain import Chain, make_chain
from foreact.demo.sales import Sales, simulate_sales
from foreact.forecasting.inputs.arrays import Doubles


@dataclass(frozen=True)
class Demo:
    """The files of a made-up chain, and its truth."""

    chain: Chain
    history: Path
    known: list[Path]
    horizon: int
    # stores x items x days, over the history and the horizon: the mean of what customers want.
    expected: Doubles

    def truth(self, store: str, item: str) -> Doubles:
        """Return a series' expected units, by day of the history and the horizon."""
        return np.asarray(self.expected[self.chain.stores.index(store), self.chain.items.index(item)])


def write_demo(
    folder: Path,
    last: date,
    horizon: int = 28,
    *,
    days: int = 912,
    stores: int = 10,
    items: int = 50,
    seed: int = 7,
    parquet: bool = False,
) -> Demo:
    """Write a chain's history up to `last`, and what is known up to the end of the horizon.

    Many stores are written one by one, so that memory holds one of them; `parquet` keeps large histories small.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chain = make_chain(last, horizon, days=days, stores=stores, items=items, seed=seed)
    history = folder / ("history.parquet" if parquet else "history.csv")
    offers = folder / "offers.parquet"
    expected = np.empty((stores, items, days + horizon), dtype=np.float32 if stores * items > 1_000 else np.float64)
    history_writer = offers_writer = None
    for index in range(stores):
        sales = simulate_sales(chain, index)
        expected[index] = sales.expected.T
        rows, offered = _make_history(chain, sales), _make_offers(chain, sales)
        if history_writer is None or offers_writer is None:
            make = pa.parquet.ParquetWriter if parquet else pa.csv.CSVWriter
            history_writer, offers_writer = make(history, rows.schema), pa.parquet.ParquetWriter(offers, offered.schema)
        history_writer.write_table(rows)
        offers_writer.write_table(offered)
    for writer in (history_writer, offers_writer):
        if writer is not None:
            writer.close()
    known = [_write_calendar(chain, folder), offers, _write_stores(chain, folder)]
    return Demo(chain, history, known, horizon, expected)


def _make_history(chain: Chain, sales: Sales) -> pa.Table:
    item, day = np.nonzero(sales.on_sale[: chain.days].T)
    return pa.table(
        {
            "date": chain.dates[day],
            "store": pa.repeat(sales.store, len(day)),
            "item": pa.array(chain.items).take(pa.array(item)),
            "units": sales.units[day, item],
            "open": (chain.calendar[day] > 0).astype(np.int8),
            "stockout": sales.stockout[day, item].astype(np.int8),
            "department": pa.array(chain.departments).take(pa.array(item)),
        }
    )


def _make_offers(chain: Chain, sales: Sales) -> pa.Table:
    item, day = np.nonzero(sales.on_sale.T)
    return pa.table(
        {
            "date": chain.dates[day],
            "store": pa.repeat(sales.store, len(day)),
            "item": pa.array(chain.items).take(pa.array(item)),
            "price": sales.price[day, item],
            "promotion": sales.promotion[day, item].astype(np.int8),
        }
    )


def _write_calendar(chain: Chain, folder: Path) -> Path:
    path = folder / "calendar.csv"
    events = np.where(chain.events == "", "none", chain.events)
    opened = (chain.calendar > 0).astype(np.int8)
    pa.csv.write_csv(pa.table({"date": chain.dates, "event": events, "open": opened}), path)
    return path


def _write_stores(chain: Chain, folder: Path) -> Path:
    path = folder / "stores.csv"
    pa.csv.write_csv(pa.table({"store": chain.stores, "region": chain.regions}), path)
    return path
