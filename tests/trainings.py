"""Trainings as the train step leaves them, small, and telling by their numbers whose they are."""

import io
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from foreact.data.dataset.parcel import ParcelInfo
from foreact.packing import pack_model
from foreact.publications.contract import Kind
from foreact.runs.trained import Trained, TrainedFolder, TrainedStore

AS_OF = date(2024, 3, 31)
GENERATED = datetime(2024, 4, 1, 5, 0, tzinfo=UTC)


def write_training(
    root: Path, stores: Mapping[str, dict[str, Any]], *, as_of: date = AS_OF, scale: float = 1.0, horizon: int = 3
) -> TrainedFolder:
    """Write a training; a store's fields override its record, and its mean is `value` (or its place) times `scale`."""
    folder = TrainedFolder(root)
    records = {}
    for place, (store, fields) in enumerate(stores.items()):
        given = dict(fields)
        value = float(given.pop("value", place + 1)) * scale
        with_model = given.pop("model", True)
        records[store] = TrainedStore(
            **{
                "store": store,
                "items": 2,
                "data_hash": f"hash of {store}",
                "outcome": "promoted",
                "reason": "beats the baseline",
                "accuracy": {"wape": 0.2, "bias": 0.01},
                "challenger_accuracy": {"wape": 0.2},
                **given,
            }
        )
        if with_model:
            model = pack_model(partial(_save_model, value=value, arrays=f"arrays of {store} at {scale}"))
            _write(folder.challenger(store), model)
            _write(folder.reading_path(store), _describe_reading(store, as_of, horizon).model_dump_json().encode())
        if records[store].champion_run:
            _write(folder.champion(store), pack_model(partial(_save_model, value=value, arrays=f"champion of {store}")))
        objects: dict[Kind, bytes] = {
            "forecasts": forecasts(store, value, as_of, horizon),
            "totals": totals(store, value, as_of, horizon),
        }
        for kind, data in objects.items():
            _write(folder.object_path(store, kind), data)
    folder.write_record(
        Trained(
            as_of=as_of, horizon=horizon, source_version="source-1", margin=0.02, generated_at=GENERATED, stores=records
        )
    )
    return folder


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _save_model(folder: Path, *, value: float, arrays: str) -> None:
    (folder / "model.json").write_text(f'{{"value": {value}}}')
    (folder / "arrays.npz").write_bytes(arrays.encode())


def _describe_reading(store: str, as_of: date, horizon: int) -> ParcelInfo:
    fields = {"missing": "auto", "stockouts": "keep", "open": False, "stockout": False, "columns": [], "tables": []}
    return ParcelInfo(
        store=store, as_of=as_of, horizon=horizon, first=date(2023, 1, 1), sha256="", attributes={}, **fields
    )


def forecasts(store: str, value: float, as_of: date = AS_OF, horizon: int = 3) -> bytes:
    """Return a store's forecasts as parquet, every mean being `value`."""
    days = [as_of + timedelta(days=1 + day) for day in range(horizon)]
    rows = [
        {"store": store, "item": item, "date": day, "mean": value, "p10": value / 2, "p50": value, "p90": value * 2}
        for item in ("a", "b")
        for day in days
    ]
    return _parquet(rows)


def totals(store: str, value: float, as_of: date = AS_OF, horizon: int = 3) -> bytes:
    """Return a store's totals as parquet."""
    days = [as_of + timedelta(days=1 + day) for day in range(horizon)]
    return _parquet([{"store": store, "date": day, "mean": 2 * value, "p10": value, "p90": 3 * value} for day in days])


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()
