"""The items of one store as arrays that are never changed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import orjson

from foreact.outlines.assembling import Assembled
from foreact.outlines.tables import Floats
from foreact.parquet import decode_parquet
from foreact.vocabulary import DATE, ITEM, MEAN, P10, P50, P90, STORE

# What an item takes beside its numbers: its name, its row in tables that are computed, its part of earlier forecasts.
BYTES_AN_ITEM = 2_500


def _encode_text(text: str) -> bytes:
    """Return a text as JSON, for a form whose numbers are filled in later."""
    return orjson.dumps(text).replace(b"%", b"%%")


@dataclass(frozen=True, eq=False)
class StoreDetail:
    """The forecasts of a store's items, their recent past, and what is only shown of one store at a time."""

    items: tuple[str, ...]
    # The mean and the quantiles that are published, by name: items x dates.
    quantiles: dict[str, Floats]
    # items x past dates, NaN where nothing is known.
    past: Floats
    drivers: dict[str, Floats] = field(default_factory=dict)
    # A Parquet file, or nothing.
    scorecard_file: bytes = b""
    # What others compute from these arrays; it lives as long as they do.
    derived: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, assembled: Assembled) -> "StoreDetail":
        """Return what of a store is not in its outline."""
        return cls(
            items=assembled.items,
            quantiles=assembled.quantiles,
            past=assembled.past,
            drivers=assembled.drivers,
            scorecard_file=assembled.scorecard_file,
        )

    @cached_property
    def rows(self) -> dict[str, int]:
        """Return each item's row."""
        return {item: row for row, item in enumerate(self.items)}

    @cached_property
    def scorecard(self) -> tuple[dict[str, Any], ...]:
        """Return how past forecasts did."""
        return tuple(decode_parquet(self.scorecard_file).slice(0, 5_000).to_pylist()) if self.scorecard_file else ()

    @cached_property
    def byte_count(self) -> int:
        """Return about how many bytes this takes, with what is computed from it."""
        arrays = (*self.quantiles.values(), self.past, *self.drivers.values())
        # Rows of the scorecard, as dictionaries, take some tenfold.
        more = BYTES_AN_ITEM * len(self.items) + 10 * len(self.scorecard_file)
        return sum(array.nbytes for array in arrays) + more

    def encode_rows(
        self, store: str, days: Sequence[str], rows: Sequence[int], first: int, end: int, more: Sequence[str]
    ) -> bytes:
        """Return the days of some items in a range as JSON objects joined by commas; what `list_records` has."""
        arrays = {name: self.quantiles.get(name) for name in (MEAN, P10, P50, P90, *more)}
        # NumPy's numbers keep exactly the digits they need, and are written fastest all at once.
        numbers = np.stack([array[rows, first:end] for array in arrays.values() if array is not None], axis=-1)
        texts = orjson.dumps(numbers.ravel(), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
        each = len(texts) // len(rows)
        fields = "".join(f',"{name}":{"null" if array is None else "%b"}' for name, array in arrays.items())
        head = b'{"store":%b,"item":' % _encode_text(store)
        tails = [f',"date":"{day}"{fields}}}'.encode() for day in days[first:end]]
        encoded = []
        for place, row in enumerate(rows):
            begin = head + _encode_text(self.items[row])
            form = begin + (b"," + begin).join(tails)
            encoded.append(form % tuple(texts[place * each : (place + 1) * each]))
        return b",".join(encoded)

    def list_records(
        self, store: str, days: Sequence[str], row: int, first: int, end: int, more: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Return an item's days in a range, with more quantiles than every answer has; None where one is not there."""
        item = self.items[row]
        numbers = (self.quantiles[name][row, first:end] for name in (MEAN, P10, P50, P90))
        records = [
            {STORE: store, ITEM: item, DATE: day, MEAN: mean, P10: p10, P50: p50, P90: p90}
            for day, mean, p10, p50, p90 in zip(days[first:end], *numbers, strict=True)
        ]
        for name in more:
            values = self.quantiles.get(name)
            for place, record in enumerate(records, first):
                record[name] = None if values is None else values[row, place]
        return records
