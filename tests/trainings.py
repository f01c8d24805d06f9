"""Trainings as the train step leaves them, small, and telling by their numbers whose they are."""

import io
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from foreact.blobs import connect
from foreact.data.dataset.parcel import ParcelInfo
from foreact.forecasting.judging.gate import GateOutcome
from foreact.packing import pack_model
from foreact.publications import put_objects
from foreact.publications.contract import Kind, challenger_name, object_name, packed_model_name
from foreact.runs.trained import Trained, TrainedStore, pack_trained
from foreact.settings import PlaceSettings

AS_OF = date(2024, 3, 31)
GENERATED = datetime(2024, 4, 1, 5, 0, tzinfo=UTC)


def write_training(
    path: Path,
    settings: PlaceSettings,
    run: str,
    stores: Mapping[str, dict[str, Any]],
    *,
    as_of: date = AS_OF,
    scale: float = 1.0,
    horizon: int = 3,
    more: Callable[[str], Mapping[Kind, bytes]] = lambda store: {},
    on_store: Callable[[], None] = lambda: None,
) -> Trained:
    """Write a training; a store's fields override its record, and its mean is `value` (or its place) times `scale`.

    `more` returns further objects of a store.
    """
    blobs = connect(settings)
    records = {}
    for place, (store, fields) in enumerate(stores.items()):
        given = dict(fields)
        value = float(given.pop("value", place + 1)) * scale
        with_model = given.pop("model", True)
        record = TrainedStore(
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
        objects: dict[Kind, bytes] = {
            "forecasts": forecasts(store, value, as_of, horizon),
            "totals": totals(store, value, as_of, horizon),
            **more(store),
        }
        names = {kind: object_name(run, store, kind) for kind in objects}
        contents = {names[kind]: data for kind, data in objects.items()}
        model, challenger = packed_model_name(run, store), challenger_name(run, store)
        if record.champion_run:
            contents[model] = pack_model(partial(_save_model, value=value, arrays=f"champion of {store}"))
        elif record.outcome is GateOutcome.PROMOTED:
            challenger = model
        if with_model:
            save = partial(_save_model, value=value, arrays=f"arrays of {store} at {scale}")
            contents[challenger] = pack_trained(save, _describe_reading(store, as_of, horizon))
        written = put_objects(blobs, contents)
        records[store] = record.model_copy(
            update={
                "objects": {kind: written[name] for kind, name in names.items()},
                "model": written.get(model),
                "challenger": written.get(challenger) if with_model else None,
            }
        )
        on_store()
    trained = Trained(
        as_of=as_of, horizon=horizon, source_version="source-1", margin=0.02, generated_at=GENERATED, stores=records
    )
    trained.write(path)
    return trained


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
