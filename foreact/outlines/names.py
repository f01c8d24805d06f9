"""The names of items, each held once for the whole chain."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class ItemNames:
    """The names of all items of the chain, each once, by numbers."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.numbers: dict[str, int] = {}
        self._lock = threading.Lock()

    def number_names(self, names: Iterable[str]) -> NDArray[np.int32]:
        """Return the names' numbers; new ones get the next."""
        with self._lock:
            found = []
            for name in names:
                number = self.numbers.get(name)
                if number is None:
                    self.names.append(name)
                    number = self.numbers[name] = len(self.names) - 1
                found.append(number)
        return np.array(found, np.int32)


@dataclass(frozen=True)
class ItemIndex:
    """The items of one store, by row."""

    names: ItemNames
    # The number of each row's name.
    rows: NDArray[np.int32]

    def find_row(self, item: str) -> int | None:
        """Return an item's row; None for one that the store does not have."""
        number = self.names.numbers.get(item)
        if number is None:
            return None
        found = np.flatnonzero(self.rows == number)
        return int(found[0]) if len(found) else None

    def name_item(self, row: int) -> str:
        """Return the name of a row's item."""
        return self.names.names[int(self.rows[row])]
