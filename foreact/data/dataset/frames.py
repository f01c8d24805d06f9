"""A store's data as one long frame, a row an item and date, the days ahead with empty units; and back."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from foreact.data.dataset.parcel import Parcel, ParcelInfo, TableInfo
from foreact.errors import ForeactError, name_examples
from foreact.forecasting.inputs.columns import column_texts
from foreact.parquet import encode_parquet
from foreact.vocabulary import DATE, ITEM, LIKE_ITEM, LIKE_SHARE, OPEN, STOCKOUT, STORE, UNITS

Array = NDArray[Any]
FIRST = "first"
BY_DAY, BY_ITEM = "known by day", "known by item"


def list_columns(info: ParcelInfo) -> dict[str, str]:
    """Return the columns of a store's frame: `date`, `text` or `number` by name."""
    flags = [name for name, given in ((OPEN, info.open), (STOCKOUT, info.stockout)) if given]
    return {
        STORE: "text",
        ITEM: "text",
        DATE: "date",
        UNITS: "number",
        **dict.fromkeys(flags, "number"),
        **{column.name: column.kind for column in info.columns if column.role != "store"},
    }


def make_frame(parcel: Parcel) -> pd.DataFrame:
    """Return all that a model sees of a store, every item on every date, in the columns that `list_columns` names."""
    # Doubted zeros are found again in the frame's own units.
    flagged = parcel.info.model_copy(update={"stockouts": "keep"})
    panel = parcel.model_copy(update={"info": flagged}).make_panel()
    shape = len(panel.items), len(panel.dates)
    cells: dict[str, Array] = {UNITS: panel.units, **panel.known}
    if panel.open is not None:
        cells[OPEN] = panel.open.astype(np.float32)
    if panel.stockout is not None:
        cells[STOCKOUT] = panel.stockout.astype(np.float32)
    for name in panel.categories:
        if name in panel.known:
            cells[name] = _leave_empty(column_texts(panel, name, panel.known[name]))
    attributes: dict[str, Array] = {name: _leave_empty(texts) for name, texts in panel.attributes.items()}
    if panel.likes is not None:
        others = panel.likes.items
        attributes[LIKE_ITEM] = _leave_empty(np.where(others < 0, "", panel.items[others]))
        attributes[LIKE_SHARE] = panel.likes.shares
    frame = pd.DataFrame(
        {
            STORE: panel.store,
            ITEM: np.repeat(panel.items, shape[1]),
            DATE: np.tile(panel.dates, shape[0]),
            **{name: np.broadcast_to(values, shape).ravel() for name, values in cells.items()},
            **{name: np.repeat(values, shape[1]) for name, values in attributes.items()},
        }
    )
    return frame.reindex(columns=list(list_columns(parcel.info)))


def make_parcel(info: ParcelInfo, frame: pd.DataFrame, by_item: Collection[str]) -> Parcel:
    """Return a store's data from its frame, read as `info` says; the columns of `by_item` differ from item to item."""
    frame = _check_rows(info, frame)
    sold = frame.loc[frame[UNITS].notna(), DATE]
    if sold.empty:
        raise ForeactError("The frame has no units: it needs the history, and after it the days to forecast.")
    as_of = sold.max()
    past = frame[frame[DATE] <= as_of]
    ahead = frame.loc[frame[DATE] > as_of, DATE]
    if ahead.empty:
        raise ForeactError(f"The frame ends on {as_of:%Y-%m-%d}, its last date with units: add the days to forecast.")
    periods = info.spacing.count_periods(np.datetime64(as_of, "D"), ahead.to_numpy())
    if periods.max() > info.horizon:
        raise ForeactError(
            f"The frame asks for {periods.max()} {info.spacing.period}s ahead, the model looks {info.horizon} ahead."
        )
    names = [OPEN] if info.open else []
    # Of a text that training never saw nothing is known.
    names += [each.name for each in info.columns if each.role == "known" and (each.kind == "number" or each.categories)]
    items = past.groupby(ITEM, sort=True)
    attributes = items[[c.name for c in info.columns if c.role in ("item", "like")]].first()
    frame = frame[frame[ITEM].isin(attributes.index)]
    tables = {
        BY_DAY: [name for name in names if name not in by_item],
        BY_ITEM: [name for name in names if name in by_item],
    }
    known = {BY_DAY: _take_days(frame, tables[BY_DAY]), BY_ITEM: frame[[ITEM, DATE, *tables[BY_ITEM]]]}
    flags = [name for name, given in ((OPEN, info.open), (STOCKOUT, info.stockout)) if given]
    kinds = list_columns(info) | {FIRST: "date"}
    return Parcel(
        info=info.model_copy(
            update={
                "as_of": as_of.date(),
                "first": past[DATE].min().date(),
                "horizon": int(periods.max()),
                "tables": [
                    TableInfo(name=name, label=name, keys=[DATE] if name == BY_DAY else [ITEM, DATE], columns=columns)
                    for name, columns in tables.items()
                ],
            }
        ),
        history=[_encode(past[[ITEM, DATE, UNITS, *flags]], kinds)],
        items=_encode(attributes.assign(**{FIRST: items[DATE].min()}).reset_index(), kinds),
        known={name: [_encode(table, kinds)] for name, table in known.items()},
    )


def _check_rows(info: ParcelInfo, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame's columns as a dataset has them, or raise for rows that are not one store's."""
    columns = list_columns(info)
    lost = [name for name in columns if name not in frame]
    if lost:
        raise ForeactError(f"The frame lacks {name_examples(lost)}; it needs {', '.join(columns)}.")
    frame = frame[list(columns)].assign(**{DATE: pd.to_datetime(frame[DATE]).astype("datetime64[s]")})
    others = [str(store) for store in frame[STORE].unique() if store != info.store]
    if others:
        raise ForeactError(
            f"The model is that of store {info.store!r}, and the frame has rows of {name_examples(others)}."
        )
    if frame[[ITEM, DATE]].isna().to_numpy().any():
        raise ForeactError("The frame has rows without an item or a date.")
    twice = frame[frame.duplicated([ITEM, DATE])]
    if len(twice):
        row = twice.iloc[0]
        raise ForeactError(f"The frame has item {row[ITEM]!r} twice on {row[DATE]:%Y-%m-%d}.")
    return frame


def _take_days(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return one row a date, or raise for a column in which items differ."""
    days = frame.groupby(DATE)
    for name in names:
        several = days[name].nunique() > 1
        if several.any():
            raise ForeactError(
                f"The frame's column {name!r} differs between items on {several.idxmax():%Y-%m-%d}; the model was "
                "trained on one value a day."
            )
    return days[names].first().reset_index()


def _leave_empty(texts: NDArray[np.str_]) -> Array:
    """Return texts of which the empty ones are None."""
    cells: Array = texts.astype(object)
    cells[texts == ""] = None
    return cells


def _encode(frame: pd.DataFrame, kinds: dict[str, str]) -> bytes:
    types = {"date": pa.date32(), "text": pa.string(), "number": pa.float64()}
    schema = pa.schema([(name, types[kinds[name]]) for name in frame.columns])
    return encode_parquet(pa.Table.from_pandas(frame, schema, preserve_index=False))
