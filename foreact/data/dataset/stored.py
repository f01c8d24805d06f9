"""A dataset in object storage: parts by store, named by the checksum of their bytes, and a record of what is in them.

A step hands on nothing but the name of a record. The parts are Parquet files, which the record knows by these names:

stores/<store>/<slice>.parquet   item, date, units, flags and the history's other columns, by item and date;
                                 a slice is a year that is over, or a quarter of the last one
items/<store>.parquet            item, rows, first, last and what is the same for all of an item's rows
known/<table>.parquet            a known table that is the same for all stores
known/<table>/<store>/<slice>.parquet
borrowed/<store>.parquet         what a new store borrows of another's past: item, date, units
made_of/<name>.parquet           what the rows were made of, as far as the next dataset needs it
rejected.parquet                 rows left out or blanked, with the rule they broke and their own text
"""

from datetime import date
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from foreact.blobs.connecting import BlobPlace
from foreact.blobs.records import StoredRecord, parse_record
from foreact.data.dataset import arrays
from foreact.data.dataset.parcel import ColumnInfo, Missing, Parcel, ParcelInfo, Stockouts, StoredParcel, TableInfo
from foreact.data.dataset.parts import read_object, write_object
from foreact.errors import ForeactError, end_sentence, name_examples, suggest_name
from foreact.naming import encode_id
from foreact.spacing import Spacing

REJECTED = "rejected.parquet"


class StoreInfo(BaseModel):
    """One store's partition."""

    model_config = ConfigDict(frozen=True)

    rows: int
    items: int
    first: date
    last: date
    # The parts of its rows, by date.
    slices: list[str] = Field(default_factory=list)
    # The parts of each known table by store, by date.
    known: dict[str, list[str]] = Field(default_factory=dict)
    # Over everything that a model of this store can see.
    sha256: str = ""
    attributes: dict[str, str] = Field(default_factory=dict)
    # What its missing rows mean, where its reporting has decided that; None: as for all stores.
    missing: Missing | None = None
    # Known tables that say nothing about the store's days ahead, and are left out of its data.
    without: list[str] = Field(default_factory=list)


class DatasetInfo(StoredRecord):
    """What a dataset holds, and what became of the rows that it was made from."""

    kind: ClassVar[str] = "dataset"
    schema_version: int = 2

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
    # The objects of the parts, by the names that they go by here.
    parts: dict[str, str] = Field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows are in the partitions."""
        return sum(store.rows for store in self.stores.values())


class Dataset:
    """A dataset in a blob store."""

    def __init__(self, info: DatasetInfo, place: BlobPlace) -> None:
        self.info, self.place = info, place

    @classmethod
    def open(cls, record: str, place: BlobPlace) -> "Dataset":
        """Open the dataset of a record."""
        return cls(parse_record(DatasetInfo, read_object(place.connect(), record), record), place)

    def write_record(self) -> str:
        """Write the record and return its name, which is all that a step hands on."""
        return write_object(self.place.connect(), self.info.model_dump_json(indent=1).encode())

    @property
    def stores(self) -> list[str]:
        """The ids of all stores, in order."""
        return list(self.info.stores)

    def require_sound(self) -> None:
        """Refuse data that did not pass validation."""
        if self.info.problem:
            raise ForeactError(self.info.problem)

    def read_rows(self, store: str, columns: list[str] | None = None) -> pa.Table:
        """Read a store's rows, some of their columns or all."""
        blobs = self.place.connect()
        return arrays.join_slices(
            [arrays.read_table(read_object(blobs, part), columns) for part in self.list_slices(store)]
        )

    def list_slices(self, store: str) -> list[str]:
        """Return the objects of a store's rows, by date."""
        return [self.info.parts[name_rows(store, each)] for each in self.info.stores[store].slices]

    def read_items(self, store: str, columns: list[str] | None = None) -> pa.Table:
        """Read the attributes of a store's items."""
        return self.read_part(name_items(store), columns)

    def read_known(self, table: TableInfo, store: str, columns: list[str] | None = None) -> pa.Table | None:
        """Read a known table's rows of a store, if it has any."""
        blobs, parts = self.place.connect(), self.list_known(table, store)
        if not parts:
            return None
        return arrays.join_slices([arrays.read_table(read_object(blobs, part), columns) for part in parts])

    def list_known(self, table: TableInfo, store: str) -> list[str]:
        """Return the objects of a known table's rows of a store, by date."""
        return [part for name in name_known(self.info, table, store) if (part := self.info.parts.get(name))]

    def read_rejected(self) -> pa.Table:
        """Read the rows that were left out or blanked."""
        return self.read_part(REJECTED)

    def read_part(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Read a part by its name, some of its columns or all."""
        return arrays.read_table(read_object(self.place.connect(), self.info.parts[name]), columns)

    def find_parcel(self, store: str) -> StoredParcel:
        """Say where all that there is of one store lies."""
        self.require_sound()
        if store not in self.info.stores:
            raise unknown_store(store, self.stores)
        info, parts = self.parcel_info(store), self.info.parts
        known = {table.name: self.list_known(table, store) for table in info.tables}
        return StoredParcel(
            info=info,
            place=self.place,
            history=self.list_slices(store),
            items=parts[name_items(store)],
            known={name: of_table for name, of_table in known.items() if of_table},
            borrowed=parts.get(name_borrowed(store), ""),
        )

    def pack_store(self, store: str) -> Parcel:
        """Read all that there is of one store."""
        return self.find_parcel(store).read()

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


def name_rows(store: str, slice_name: str) -> str:
    """Return the part of a slice of a store's rows."""
    return f"stores/{encode_id(store)}/{slice_name}.parquet"


def name_items(store: str) -> str:
    """Return the part of the attributes of a store's items."""
    return f"items/{encode_id(store)}.parquet"


def name_borrowed(store: str) -> str:
    """Return the part of what a store borrows."""
    return f"borrowed/{encode_id(store)}.parquet"


def name_known(info: DatasetInfo, table: TableInfo, store: str) -> list[str]:
    """Return the parts of a known table's rows of a store, by date."""
    if not table.by_store:
        return [f"known/{table.name}.parquet"]
    slices = info.stores[store].known.get(table.name, []) if store in info.stores else []
    return [name_known_slice(table.name, store, each) for each in slices]


def name_known_slice(table: str, store: str, slice_name: str) -> str:
    """Return the part of a slice of a known table's rows of a store."""
    return f"known/{table}/{encode_id(store)}/{slice_name}.parquet"


def name_parts(info: DatasetInfo, store: str) -> set[str]:
    """Return the parts that a store's data is in, some of which may not be there."""
    slices = info.stores[store].slices if store in info.stores else []
    known = [name for table in info.tables for name in name_known(info, table, store)]
    return {*(name_rows(store, each) for each in slices), name_items(store), name_borrowed(store), *known}


def unknown_store(store: str, stores: list[str]) -> ForeactError:
    """Return the error that a store is not in the data, naming the one that may be meant."""
    hint = suggest_name(store, stores) or f"; the {len(stores):,} stores are {name_examples(stores)}"
    return ForeactError(end_sentence(f"The history has no store {store!r}{hint}"))
