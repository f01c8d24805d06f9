"""A dataset: the folder that steps hand on, one partition a store, and the record of what is in it.

dataset.json                 DatasetInfo
stores/<store>.parquet       item, date, units, flags and the history's other columns, by item and date
items/<store>.parquet        item, rows, first, last and what is the same for all of an item's rows
known/<table>.parquet        a known table that is the same for all stores
known/<table>/<store>.parquet
borrowed/<store>.parquet     what a new store borrows of another's past: item, date, units
rejected.parquet             rows left out or blanked, with the rule they broke and their own text
"""

from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from foreact.data.dataset.parcel import ColumnInfo, Missing, Parcel, ParcelInfo, Stockouts, TableInfo
from foreact.errors import ForeactError, end_sentence, name_examples, suggest_name
from foreact.naming import encode_id
from foreact.spacing import Spacing

INFO, REJECTED = "dataset.json", "rejected.parquet"


class StoreInfo(BaseModel):
    """One store's partition."""

    model_config = ConfigDict(frozen=True)

    rows: int
    items: int
    first: date
    last: date
    # Over everything that a model of this store can see.
    sha256: str = ""
    attributes: dict[str, str] = Field(default_factory=dict)
    # What its missing rows mean, where its reporting has decided that; None: as for all stores.
    missing: Missing | None = None
    # Known tables that say nothing about the store's days ahead, and are left out of its data.
    without: list[str] = Field(default_factory=list)


class DatasetInfo(BaseModel):
    """What a dataset holds, and what became of the rows that it was made from."""

    model_config = ConfigDict(frozen=True)

    # The last period's own date; it may be used, and nothing after it.
    as_of: date
    # In periods of the spacing.
    horizon: int
    spacing: Spacing = Spacing.DAILY
    missing: Missing
    stockouts: Stockouts = "keep"
    # The pipeline's parameters that say what was read, and how.
    parameters: dict[str, Any] = Field(default_factory=dict)
    source: str = ""
    source_version: str = ""
    with_items: bool = True
    open: bool = False
    stockout: bool = False
    columns: list[ColumnInfo] = Field(default_factory=list)
    tables: list[TableInfo] = Field(default_factory=list)
    stores: dict[str, StoreInfo] = Field(default_factory=dict)
    rows_read: int = 0
    rows_after_as_of: int = 0
    # By rule, how many rows broke it: left out, or with a cell blanked.
    rejected: dict[str, int] = Field(default_factory=dict)
    # What a person should know: columns left out and why, ...
    notes: list[str] = Field(default_factory=list)
    # Why nobody may train on it, in a sentence; empty for data that passed, or that nobody has looked at yet.
    problem: str = ""

    @property
    def rows(self) -> int:
        """How many rows are in the partitions."""
        return sum(store.rows for store in self.stores.values())


class Dataset:
    """A dataset folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.info = DatasetInfo.model_validate_json((path / INFO).read_bytes())
        except FileNotFoundError as error:
            raise ForeactError(f"{path} is not a dataset: it has no {INFO}.") from error
        except ValueError as error:
            raise ForeactError(f"{path / INFO} cannot be read as the record of a dataset.") from error

    @property
    def stores(self) -> list[str]:
        """The ids of all stores, in order."""
        return list(self.info.stores)

    def require_sound(self) -> None:
        """Refuse data that did not pass validation."""
        if self.info.problem:
            raise ForeactError(self.info.problem)

    def store_path(self, store: str) -> Path:
        """Return where a store's rows are."""
        return self.path / "stores" / f"{encode_id(store)}.parquet"

    def items_path(self, store: str) -> Path:
        """Return where the attributes of a store's items are."""
        return self.path / "items" / f"{encode_id(store)}.parquet"

    def borrowed_path(self, store: str) -> Path:
        """Return where a store's borrowed rows are, if it has any."""
        return self.path / "borrowed" / f"{encode_id(store)}.parquet"

    def known_path(self, table: TableInfo, store: str) -> Path | None:
        """Return where a known table's rows of a store are, if it has any."""
        known = self.path / "known"
        path = known / table.name / f"{encode_id(store)}.parquet" if table.by_store else known / f"{table.name}.parquet"
        return path if path.exists() else None

    def pack_store(self, store: str) -> Parcel:
        """Pack all that there is of one store."""
        self.require_sound()
        if store not in self.info.stores:
            raise unknown_store(store, self.stores)
        info = self.parcel_info(store)
        known = {table.name: path for table in info.tables if (path := self.known_path(table, store))}
        return Parcel(
            info=info,
            history=self.store_path(store).read_bytes(),
            items=self.items_path(store).read_bytes(),
            known={name: path.read_bytes() for name, path in known.items()},
            borrowed=borrowed.read_bytes() if (borrowed := self.borrowed_path(store)).exists() else b"",
        )

    def parcel_info(self, store: str) -> ParcelInfo:
        """Return what a reader of one store's parcel has to know."""
        info, of_store = self.info, self.info.stores[store]
        tables = [table for table in info.tables if table.name not in of_store.without]
        lost = {name for table in info.tables if table not in tables for name in table.columns}
        return ParcelInfo(
            store=store,
            as_of=info.as_of,
            horizon=info.horizon,
            spacing=info.spacing,
            missing=of_store.missing or info.missing,
            stockouts=info.stockouts,
            open=info.open,
            stockout=info.stockout,
            columns=[column for column in info.columns if column.role != "known" or column.name not in lost],
            tables=tables,
            first=of_store.first,
            sha256=of_store.sha256,
            attributes=of_store.attributes,
        )


def unknown_store(store: str, stores: list[str]) -> ForeactError:
    """Return the error that a store is not in the data, naming the one that may be meant."""
    hint = suggest_name(store, stores) or f"; the {len(stores):,} stores are {name_examples(stores)}"
    return ForeactError(end_sentence(f"The history has no store {store!r}{hint}"))
