"""Turn the retailer's files into a dataset of one partition a store."""

import hashlib
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast, get_args

from components.ingest.summary import summarize_dataset
from foreact.blobs.connecting import BlobPlace
from foreact.data.dataset.kept import KeptDataset, find_dataset, keep_dataset, prune_datasets
from foreact.data.dataset.parcel import Missing, Stockouts
from foreact.data.dataset.sealing import store_files
from foreact.data.dataset.stored import Dataset
from foreact.data.intake import Request, take_in
from foreact.data.reading.columns import parse_columns
from foreact.data.reading.problems import explain_engine_errors
from foreact.data.reading.sources import OpenUrl, fingerprint_sources
from foreact.errors import ForeactError
from foreact.runs.defaults import SPACING, STOCKOUTS
from foreact.runs.events import Events
from foreact.spacing import Spacing


@dataclass(frozen=True)
class Ingested:
    """The dataset, and what the run page shows."""

    dataset: Dataset
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
    place: BlobPlace,
    events: Events,
    spacing: str = SPACING,
    stockouts: str = STOCKOUTS,
    open_url: OpenUrl | None = None,
    scratch: Path | None = None,
    memory: str = "1500MB",
    threads: int = 2,
    today: date | None = None,
    full: bool = False,
    code_version: str = "",
) -> Ingested:
    """Store the dataset; what an empty parameter leaves open is decided by the data.

    One that was made today of the same files in the same way is taken as it is, unless `full` has it made anew.
    """
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
        version = source_version or fingerprint_sources([history, *tables], open_url)
        about = [version, store, as_of, str(request.today), code_version, request.parameters]
        key = hashlib.sha256(json.dumps(about).encode()).hexdigest()
        blobs = place.connect()
        record = None if full else find_dataset(blobs, key)
        if record is not None:
            events.note("ingest", "the files are those that were read before today: nothing is read again")
            dataset = Dataset.open(record, place)
        else:
            files = Path(folder, "dataset")
            info = take_in(
                request,
                files,
                Path(folder, "scratch"),
                open_url=open_url,
                memory=memory,
                threads=threads,
                progress=lambda done, total, detail: events.progress("ingest", done, total, detail),
            )
            dataset = store_files(info, files, place)
            kept = KeptDataset(record=dataset.write_record(), key=key, store=store, used_at=datetime.now(UTC))
            keep_dataset(blobs, kept)
            if not store:
                prune_datasets(blobs)
        info = dataset.info
        for note in info.notes:
            events.note("ingest", note)
    metrics = {
        "rows": float(info.rows),
        "stores": float(len(info.stores)),
        "items": float(sum(each.items for each in info.stores.values())),
        "rejected_rows": float(sum(info.rejected.values())),
    }
    return Ingested(dataset, summarize_dataset(info), metrics)


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
