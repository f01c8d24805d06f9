"""Turn the retailer's files into a dataset of one partition a store."""

import hashlib
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast, get_args

from components.ingest.summary import summarize_dataset
from foreact.blobs.connecting import BlobPlace
from foreact.data.dataset.kept import (
    KeptDataset,
    find_dataset,
    find_earlier,
    keep_dataset,
    prune_datasets,
)
from foreact.data.dataset.parcel import Missing, Stockouts
from foreact.data.dataset.sealing import store_files, take_store
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

    One that was made today of the same files in the same way is taken as it is, or its part of the one store; not with
    `full`.
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
        way = [as_of, code_version, request.parameters]
        way_of_today = [str(request.today), *way]
        version = fingerprint_sources([history, *tables], open_url)
        # Of code that is being worked on nobody knows whether it reads alike.
        anew = full or code_version.endswith("-dirty")
        dataset = None if anew else _find_made(place, version, way_of_today, store, Path(folder))
        if dataset is not None:
            events.note("ingest", "the files are those that were read before today: nothing is read again")
        else:
            files = Path(folder, "dataset")
            # One store, or a day that is chosen, says nothing of the next night.
            earlier = None if anew or store or as_of else find_earlier(place, _hash(way))
            info = take_in(
                request,
                files,
                Path(folder, "scratch"),
                open_url=open_url,
                memory=memory,
                threads=threads,
                earlier=earlier,
                tell=lambda note: events.note("ingest", note),
                progress=lambda done, total, detail: events.progress("ingest", done, total, detail),
            )
            dataset = store_files(info, files, place)
            blobs, record = place.connect(), dataset.write_record()
            key = _make_key(info.source_version, way_of_today, store)
            kept = KeptDataset(record=record, key=key, way=_hash(way), store=store, used_at=datetime.now(UTC))
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


def _find_made(place: BlobPlace, version: str, way: list[Any], store: str, folder: Path) -> Dataset | None:
    """Return the dataset of these files, or the store's part in the one of all stores."""
    made = find_dataset(place, _make_key(version, way, store), store)
    if made is not None or not store:
        return made
    whole = find_dataset(place, _make_key(version, way, ""), store)
    return None if whole is None else take_store(whole, store, folder)


def _make_key(version: str, way: list[Any], store: str) -> str:
    """Return what tells the state of the files, the way in which they are read, and the one store that is."""
    return _hash([version, *way, store])


def _hash(way: list[Any]) -> str:
    return hashlib.sha256(json.dumps(way).encode()).hexdigest()


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
