"""Every table and view that an intake makes in its SQL engine: what it is called, and which columns it has.

Columns that come from a retailer's files get a prefix, so that none can be taken for one of ours; the functions
below return them as SQL identifiers.
"""

from dataclasses import dataclass

from foreact.data.reading.cells import quote
from foreact.vocabulary import DATE, ITEM, OPEN, STOCKOUT, STORE, UNITS

# A row's day as a number; dates.EPOCH is day 0.
DAY = "day"
# Which file of its table a row is in, as a position in the listing; in views that have the files' own columns, too, by
# a name that no file's column has.
FILE, FILE_NAME = "file", "foreact file"
FILE_COLUMN = quote(FILE_NAME)


@dataclass(frozen=True)
class Relation:
    """A table or view; in SQL it stands for its name."""

    name: str
    columns: tuple[str, ...]
    # Those it has only if the files do, and the prefixes of those that the files name.
    optional: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


# Lines that are not rows of their file, and the table's label.
MALFORMED_LINES = Relation("malformed_lines", ("label", FILE, "line"))
# The rows of all stores, whichever are taken in, with each cell as the value that it stands for.
EVERY_ROW = Relation("every_row", (FILE, STORE, ITEM, DAY, UNITS), (OPEN, STOCKOUT), ("value ", "blank_", "original_"))
# The history's rows with each cell as the value that it stands for. Beside it: whether a cell is empty, and its text.
TYPED_ROWS = Relation("typed_rows", EVERY_ROW.columns, EVERY_ROW.optional, EVERY_ROW.prefixes)
# The typed rows that have a store, an item and a day.
USABLE_ROWS = Relation("usable_rows", TYPED_ROWS.columns, TYPED_ROWS.optional, TYPED_ROWS.prefixes)
# The same, each with the day that its period bears.
HISTORY = Relation("history", USABLE_ROWS.columns, USABLE_ROWS.optional, USABLE_ROWS.prefixes)
# How many rows each file has of each store on each day, and of the whole history each store, up to today.
FILE_DAYS = Relation("file_days", (FILE, STORE, DAY, "rows"))
STORE_DAYS = Relation("store_days", (STORE, DAY, "rows"))
# Rows that cannot be used as they are: the rule that each breaks, its own texts, and its file.
FAULTY_ROWS = Relation("faulty_rows", ("rule", STORE, ITEM, DATE, UNITS, "detail", FILE))
# One row for each store, item and slice: days of its first and last row, and the range of each other column's values.
SLICE_SERIES = Relation(
    "slice_series",
    (STORE, ITEM, "place", "rows", "first", "last"),
    prefixes=("lowest ", "highest ", "count "),
)
# One row for each store and item, numbered by `series` in the order of a dataset: days of its first and last row, the
# store's first day, the range of each other column's values, and the attributes.
SERIES = Relation(
    "series",
    ("series", STORE, ITEM, "rows", "first", "last", "store_first"),
    prefixes=("lowest ", "highest ", "count ", "attribute "),
)
# One row for each store and for each item, numbered by `position` in order.
STORES = Relation("stores", ("position", STORE, "first", "last", "rows", "items"))
ITEMS = Relation("items", ("position", ITEM))


def name_earlier(relation: Relation | str) -> str:
    """Return the table of what a relation holds of the dataset before, as far as it stays."""
    return f"earlier_{relation}"


def name_source(number: int | None = None) -> str:
    """Return the view of the history's files, or of a known table's, with columns as the files name them."""
    return "source" if number is None else f"source_{number}"


def name_files(view: str, part: int) -> str:
    """Return the table of a view's files: the number of each, and the columns that its folders name."""
    return f"{view}_{part}_files"


def name_known(number: int) -> str:
    """Return the view of a known table: its keys out of store, item and day, `open` and its values."""
    return f"known_{number}"


def name_texts(dates: str) -> str:
    """Return the table of how many rows each file has of each text for a date, by the name of the table of dates."""
    return f"{dates}_texts"


def name_rows(known: str) -> str:
    """Return the view of a known table's single rows, each with its own day."""
    return f"{known}_rows"


def name_dates(view: str) -> str:
    """Return the table of a view's dates: each text and the day that it stands for."""
    return f"{view}_dates"


def value_column(name: str) -> str:
    """Return the column of a history or known table that holds a file's column as it is."""
    return quote(f"value {name}")


def lowest_column(name: str) -> str:
    """Return the column of the series that holds the lowest value of a file's column."""
    return quote(f"lowest {name}")


def highest_column(name: str) -> str:
    """Return the column of the series that holds the highest value of a file's column."""
    return quote(f"highest {name}")


def count_column(name: str) -> str:
    """Return the column of the series that holds how many rows have a value in a file's column."""
    return quote(f"count {name}")


def attribute_column(name: str) -> str:
    """Return the column of the series that holds an attribute as text."""
    return quote(f"attribute {name}")
