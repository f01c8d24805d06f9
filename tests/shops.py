"""Small files of sales for tests, and datasets made of them."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from components.ingest.step import ingest
from foreact.blobs import BlobPlace
from foreact.data.dataset.stored import Dataset
from foreact.runs.events import Events

TODAY = date(2025, 4, 1)


def write_rows(
    path: Path, rows: Iterable[Iterable[Any]], header: str = "date,store,item,units", sign: str = ","
) -> Path:
    """Write a CSV file of these cells, each as it is."""
    lines = [header, *(sign.join(str(cell) for cell in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def days(count: int, last: date = date(2025, 3, 31)) -> list[date]:
    """Return the days up to the last."""
    return [date.fromordinal(last.toordinal() - count + 1 + index) for index in range(count)]


def take_in(folder: Path, history: Path | str, *known: Path | str, **options: Any) -> Dataset:
    """Run the ingest step over files; the folder is the workspace of its dataset."""
    given: dict[str, Any] = {
        "columns": "",
        "country": "",
        "as_of": "",
        "horizon": 7,
        "missing": "auto",
        "store": "",
        "today": TODAY,
        **options,
    }
    folder.mkdir(parents=True, exist_ok=True)
    done = ingest(
        history=str(history),
        known=[str(table) for table in known],
        events=Events(folder / "events"),
        **{"place": BlobPlace(folder), **given},
    )
    return done.dataset
