"""Turn the retailer's files into a dataset of one partition a store."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import cast, get_args

from components.ingest.summary import summarize_dataset
from foreact.data.dataset.folder import DatasetInfo
from foreact.data.dataset.parcel import Missing, Stockouts
from foreact.data.intake import Request, take_in
from foreact.data.reading.columns import parse_columns
from foreact.data.reading.problems import explain_engine_errors
from foreact.data.reading.sources import OpenUrl
from foreact.errors import ForeactError
from foreact.runs.defaults import SPACING, STOCKOUTS
from foreact.runs.events import Events
from foreact.spacing import Spacing


@dataclass(frozen=True)
class Ingested:
    """What the run page shows."""

    info: DatasetInfo
    summary: str
    metrics: dict[str, float]


def ingest(
    *,
    history: str,
    known: Iterable[str],
    columns: str,
    country: str,
    as_of: str,
    horizon: int,
    missing: str,
    store: str,
    source_version: str,
    dataset: Path,
    events: Events,
    spacing: str = SPACING,
    stockouts: str = STOCKOUTS,
    open_url: OpenUrl | None = None,
    scratch: Path | None = None,
    memory: str = "1500MB",
    threads: int = 2,
    today: date | None = None,
) -> Ingested:
    """Write the dataset; what an empty parameter leaves open is decided by the data."""
    with (
        events.step("ingest"),
        explain_engine_errors("take the data in", scratch or Path(tempfile.gettempdir())),
        tempfile.TemporaryDirectory(dir=scratch, prefix="ingest-") as folder,
    ):
        tables = list(known)
        request = Request(
            history=history,
            known=tuple(tables),
            columns=parse_columns(columns),
            country=country,
            as_of=_read_day(as_of),
            spacing=_read_spacing(spacing),
            horizon=horizon or None,
            missing=cast(Missing, _read_choice("missing", missing, get_args(Missing))),
            stockouts=cast(Stockouts, _read_choice("stockouts", stockouts, get_args(Stockouts))),
            store=store or None,
            source_version=source_version,
            today=today or date.today(),
            parameters={
                "history": history,
                "known": tables,
                "columns": columns,
                "country": country,
                "spacing": spacing,
                "horizon": horizon,
                "missing": missing,
                "stockouts": stockouts,
            },
        )
        info = take_in(
            request,
            dataset,
            Path(folder),
            open_url=open_url,
            memory=memory,
            threads=threads,
            progress=lambda done, total, detail: events.progress("ingest", done, total, detail),
        )
        for note in info.notes:
            events.note("ingest", note)
    metrics = {
        "rows": float(info.rows),
        "stores": float(len(info.stores)),
        "items": float(sum(each.items for each in info.stores.values())),
        "rejected_rows": float(sum(info.rejected.values())),
    }
    return Ingested(info, summarize_dataset(info), metrics)


def _read_choice(name: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise ForeactError(f"{name} is {text!r}; it must be one of {', '.join(choices)}.")
    return text


def _read_spacing(text: str) -> Spacing | None:
    if text == SPACING:
        return None
    try:
        return Spacing(text)
    except ValueError:
        raise ForeactError(f"spacing is {text!r}; it must be one of {', '.join([SPACING, *Spacing])}.") from None


def _read_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise ForeactError(f"as_of is {text!r}; it must be a date like 2025-03-31.") from None
