"""The rows of a store's table of items that a page or an export asks for."""

from serving.analysis.item_table import tabulate_items
from serving.dashboard.columns import ITEMS
from serving.publication import StoreData

SORT_KEYS = frozenset(column.key for column in ITEMS)


def select_items(arrays: StoreData, text: str, sort: str, *, descending: bool) -> list[int]:
    """Filter and sort as the page's script does; unknown numbers come last, equals by name."""
    table = tabulate_items(arrays)
    wanted = text.casefold()
    rows = [row for row, item in enumerate(arrays.items) if wanted in item.casefold()]
    column = table[sort if sort in SORT_KEYS else "expected"]
    known = [row for row in rows if column[row] is not None]
    known.sort(key=lambda row: column[row], reverse=descending)
    return known + [row for row in rows if column[row] is None]
