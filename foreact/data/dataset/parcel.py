"""All that there is of one store: where it lies, its files as bytes, and how a model sees them."""

from datetime import date
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from foreact.blobs.connecting import BlobPlace
from foreact.data.dataset import arrays
from foreact.data.dataset.parts import read_object
from foreact.forecasting.inputs.arrays import Bools, Floats
from foreact.forecasting.inputs.panel import Likes, Panel
from foreact.forecasting.inputs.stockouts import find_stockouts
from foreact.spacing import Spacing
from foreact.vocabulary import DATE, ITEM, LIKE_ITEM, LIKE_SHARE, OPEN, STOCKOUT, STORE, UNITS

Array = NDArray[Any]
# What a missing row inside a series' life means.
Missing = Literal["auto", "zero", "unknown"]
# Whether zeros that an item's rate makes next to impossible count as days without demand, or as sold out.
Stockouts = Literal["keep", "doubt"]


class ColumnInfo(BaseModel):
    """One column beyond the roles: a number or a text, and when it is known."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Literal["number", "text"]
    # "like": whose past an item borrows, and the share of it.
    role: Literal["known", "item", "store", "like"]
    # A text column's values, in order; its codes are their positions.
    categories: list[str] = Field(default_factory=list)


class TableInfo(BaseModel):
    """One known table that goes by date."""

    model_config = ConfigDict(frozen=True)

    # Its name in the dataset, and what the user calls it.
    name: str
    label: str
    keys: list[str]
    columns: list[str]
    first: date | None = None
    last: date | None = None
    rows: int = 0

    @property
    def by_store(self) -> bool:
        """Whether it has a part for each store."""
        return STORE in self.keys

    @property
    def by_item(self) -> bool:
        """Whether it has a column of items."""
        return ITEM in self.keys


class ParcelInfo(BaseModel):
    """What is to be known of a store's files to read them."""

    model_config = ConfigDict(frozen=True)

    store: str
    as_of: date
    horizon: int
    spacing: Spacing = Spacing.DAILY
    missing: Missing
    stockouts: Stockouts
    open: bool
    stockout: bool
    columns: list[ColumnInfo]
    tables: list[TableInfo]
    first: date
    sha256: str
    attributes: dict[str, str]


class StoredParcel(BaseModel):
    """Where one store's files lie, for who reads them at another place."""

    model_config = ConfigDict(frozen=True)

    info: ParcelInfo
    place: BlobPlace
    # Names of objects; the history has several.
    history: list[str]
    items: str
    known: dict[str, list[str]]
    # Empty: nothing is borrowed.
    borrowed: str = ""

    @property
    def store(self) -> str:
        """Whose data it is."""
        return self.info.store

    def read(self) -> "Parcel":
        """Read the files."""
        blobs = self.place.connect()
        return Parcel(
            info=self.info,
            history=[read_object(blobs, part) for part in self.history],
            items=read_object(blobs, self.items),
            known={name: [read_object(blobs, part) for part in parts] for name, parts in self.known.items()},
            borrowed=read_object(blobs, self.borrowed) if self.borrowed else b"",
        )


class Parcel(BaseModel):
    """One store's files as bytes, with what is to be known to read them."""

    model_config = ConfigDict(frozen=True)

    info: ParcelInfo
    # By date, each by item and date.
    history: list[bytes]
    items: bytes
    known: dict[str, list[bytes]]
    # What a new store borrows of another's past, by item and date; empty: nothing.
    borrowed: bytes = b""

    @property
    def store(self) -> str:
        """Whose data it is."""
        return self.info.store

    @property
    def data_hash(self) -> str:
        """The SHA-256 of everything that a model of this store can see."""
        return self.info.sha256

    def make_panel(self) -> Panel:
        """Lay the rows out as the models see them."""
        return _Layout(self).make_panel()


def lay_out_units(row: Array, column: Array, sold: Floats, born: Array, days: int, missing: Missing) -> Floats:
    """Lay the units of rows out as items x days; what has no row is zero or NaN."""
    units = np.full((len(born), days), np.nan, np.float32)
    if missing != "unknown":
        # From an item's first row on; where "auto", only on days on which the store reported anything.
        alive = np.arange(days) >= born[:, None]
        if missing == "auto":
            alive &= np.bincount(column, minlength=days) > 0
        units[alive] = 0
    units[row, column] = sold
    return units


class _Layout:
    """A grid of items and days, and where on it each row goes."""

    def __init__(self, parcel: Parcel) -> None:
        self.parcel, self.info = parcel, parcel.info
        self.attributes = arrays.read_table(parcel.items)
        self.items = self.attributes[ITEM]
        self.rows = arrays.join_slices([arrays.read_table(part) for part in parcel.history])
        self.first = opened = np.datetime64(self.info.first, "D")
        if parcel.borrowed:
            past = arrays.read_table(parcel.borrowed)
            self.rows = arrays.join_rows(past, self.rows)
            self.first = arrays.read_days(past[DATE]).min()
        self.borrowed = int(self.info.spacing.count_periods(self.first, np.array([opened]))[0])
        last = np.array([self.info.as_of], "datetime64[D]")
        self.days = int(self.info.spacing.count_periods(self.first, last)[0]) + 1
        self.dates = self.info.spacing.list_dates(self.first, self.days + self.info.horizon)
        self.row = arrays.find_positions(self.rows[ITEM], self.items)
        self.column = self._find_columns(self.rows[DATE])

    def make_panel(self) -> Panel:
        """Build the panel."""
        known: dict[str, Floats] = {}
        opened = self._lay_out_flag(OPEN) if self.info.open else None
        tables = {
            table.name: (table, arrays.join_slices([arrays.read_table(part) for part in data]))
            for table in self.info.tables
            if (data := self.parcel.known.get(table.name))
        }
        for table, columns in tables.values():
            if opened is not None and OPEN in table.columns:
                opened = _overlay_known(self._lay_out_known(table, columns, OPEN), opened)
        for column in self.info.columns:
            if column.role != "known":
                continue
            values = self._lay_out_history(column) if column.name in self.rows.column_names else None
            for table, columns in tables.values():
                if column.name in table.columns:
                    values = _overlay_known(self._lay_out_known(table, columns, column.name, column.categories), values)
            if values is not None:
                if column.kind == "text":
                    values = np.nan_to_num(values, nan=-1)
                known[column.name] = values
        units = self._lay_out_units()
        return Panel(
            store=self.info.store,
            items=arrays.read_texts(self.items),
            dates=self.dates,
            days=self.days,
            units=units,
            open=None if opened is None else _mark_open(np.broadcast_to(opened != 0, self._shape()), units),
            stockout=self._mark_stockouts(units),
            known=known,
            categories={
                column.name: column.categories
                for column in self.info.columns
                if column.kind == "text" and column.role == "known"
            },
            attributes={
                column.name: arrays.read_texts(self.attributes[column.name])
                for column in self.info.columns
                if column.role == "item"
            },
            likes=self._find_likes(),
            borrowed=self.borrowed,
            store_attributes=dict(self.info.attributes),
            spacing=self.info.spacing,
        )

    def _find_likes(self) -> Likes | None:
        """Find the place of each item's like item, and its share."""
        if not any(column.role == "like" for column in self.info.columns):
            return None
        shares = self.attributes[LIKE_SHARE].cast(pa.float64()).fill_null(1.0)
        return Likes(arrays.find_positions(self.attributes[LIKE_ITEM], self.items), np.asarray(shares.combine_chunks()))

    def _find_columns(self, dates: pa.ChunkedArray) -> NDArray[np.int64]:
        return self.info.spacing.count_periods(self.first, arrays.read_days(dates))

    def _shape(self) -> tuple[int, int]:
        return len(self.items), len(self.dates)

    def _lay_out_units(self) -> Floats:
        born = self._find_columns(self.attributes["first"])
        np.minimum.at(born, self.row, self.column)
        sold = arrays.read_floats(self.rows[UNITS])
        units = np.full(self._shape(), np.nan, np.float32)
        units[:, : self.days] = lay_out_units(self.row, self.column, sold, born, self.days, self.info.missing)
        return units

    def _mark_stockouts(self, units: Floats) -> Bools | None:
        """Mark what a flag says was sold out, and the zeros that are doubted; None without either."""
        stockout = self._lay_out_flag(STOCKOUT) == 1 if self.info.stockout else None
        if self.info.stockouts == "keep" or self.info.spacing is not Spacing.DAILY:
            return stockout
        doubted = np.zeros(self._shape(), bool)
        seen = units if stockout is None else np.where(stockout, np.float32(np.nan), units)
        doubted[:, : self.days] = find_stockouts(seen[:, : self.days])
        return doubted if stockout is None else doubted | stockout

    def _lay_out_flag(self, name: str) -> Floats:
        """Lay out a flag; an item without a row that day shares what all others say."""
        grid = np.full(self._shape(), np.nan, np.float32)
        if name not in self.rows.column_names:
            return grid
        values = arrays.read_floats(self.rows[name])
        grid[self.row, self.column] = values
        if name == OPEN:
            shut = np.full(len(self.dates), np.nan, np.float32)
            with_value = ~np.isnan(values)
            np.fmax.at(shut, self.column[with_value], values[with_value])
            grid = np.where(np.isnan(grid), shut, grid)
        return grid

    def _lay_out_history(self, column: ColumnInfo) -> Floats:
        """Lay out a column of the history: by day, if it is the same for all items."""
        cells = self.rows[column.name]
        values = arrays.read_codes(cells, column.categories) if column.kind == "text" else arrays.read_floats(cells)
        shown = ~np.isnan(values)
        day = np.full(len(self.dates), np.nan, np.float32)
        day[self.column[shown]] = values[shown]
        if (day[self.column[shown]] == values[shown]).all():
            return day
        grid = np.full(self._shape(), np.nan, np.float32)
        grid[self.row, self.column] = values
        return grid

    def _lay_out_known(
        self, table: TableInfo, columns: pa.Table, name: str, categories: list[str] | None = None
    ) -> Floats:
        """Lay out a column of a known table, by day or by item and day."""
        column = self._find_columns(columns[DATE])
        inside = (column >= 0) & (column < len(self.dates))
        values = arrays.read_codes(columns[name], categories) if categories else arrays.read_floats(columns[name])
        if not table.by_item:
            day = np.full(len(self.dates), np.nan, np.float32)
            day[column[inside]] = values[inside]
            return day
        row = arrays.find_positions(columns[ITEM], self.items)
        inside &= row >= 0
        grid = np.full(self._shape(), np.nan, np.float32)
        grid[row[inside], column[inside]] = values[inside]
        return grid


def _mark_open(flags: Bools, units: Floats) -> Bools:
    """Return when the store was open: what sold was, whatever the flags say."""
    sold = units > 0
    return flags | sold | (~flags.any(axis=0) & sold.any(axis=0))


def _overlay_known(known: Floats, history: Floats | None) -> Floats:
    """Let the history say what it can and the known table the rest."""
    if history is None:
        return known
    if known.ndim == 1 and history.ndim == 1:
        return np.where(np.isnan(history), known, history)
    return np.where(np.isnan(history), np.broadcast_to(known, np.broadcast_shapes(known.shape, history.shape)), history)
