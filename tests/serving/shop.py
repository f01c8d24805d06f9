"""Publications to serve in tests: a made-up chain of stores, published by the real publisher."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from statistics import NormalDist

import numpy as np
import pyarrow as pa

from foreact.blobs import BlobStore
from foreact.parquet import encode_parquet
from foreact.publications import Kind, Manifest, PublishedModel, Publisher, StoreEntry, put_objects
from foreact.publications.contract import object_name
from foreact.quantiles import name_quantile, name_quantiles
from foreact.spacing import Spacing
from foreact.vocabulary import TIME_ZONE

AS_OF = date(2026, 3, 1)
# Monday morning, after the deadline.
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
REGIONS = {"S1": "North", "S2": "North", "S3": "South"}


def make_tables(
    store: str,
    items: int = 6,
    horizon: int = 14,
    as_of: date = AS_OF,
    seed: int = 1,
    spacing: Spacing = Spacing.DAILY,
    shares: Sequence[float] = (),
) -> dict[Kind, pa.Table]:
    """Make a store's tables: a weekly rhythm, an order of items by size, and one item that is about to peak.

    Without the shares of its quantiles they are as schema version 1 had them.
    """
    random = np.random.default_rng([seed, *store.encode()])
    names = np.array([f"item-{index:04d}" for index in range(items)])
    level = random.gamma(1.5, 8, items).astype(np.float32) + 0.5
    week = np.array([0.9, 0.85, 0.9, 1.0, 1.2, 1.4, 0.75], np.float32)
    past, year = spacing.past, spacing.year
    ahead = [spacing.next_period(as_of, period) for period in range(1, horizon + 1)]
    before = sorted({*range(-year - past + 1, horizon - year + 1), *range(1 - past, 1)})
    behind = [spacing.next_period(as_of, period) for period in before]

    def shape(days: list[date]) -> np.ndarray:
        return week[[day.weekday() for day in days]] if spacing is Spacing.DAILY else np.ones(len(days), np.float32)

    mean = level[:, None] * shape(ahead)
    mean[0, : spacing.window] *= 2.5
    spread = np.sqrt(mean) * 1.28
    sold = random.poisson(level[:, None] * shape(behind)).astype(np.float32)

    def long(days: list[date], **columns: np.ndarray) -> pa.Table:
        return pa.table(
            {
                "store": np.full(items * len(days), store),
                "item": np.repeat(names, len(days)),
                "date": pa.array(days * items, pa.date32()),
                **{name: values.astype(np.float32).ravel() for name, values in columns.items()},
            }
        )

    total = mean.sum(axis=0)
    wide = np.sqrt((spread**2).sum(axis=0)) * 1.5
    level_total = np.full(horizon, level.sum(), np.float32)
    rhythm = level.sum() * (shape(ahead) - 1)
    drivers = {"level": level_total, "weekday": rhythm, "promotion": total - level_total - rhythm}
    quantiles = {"p10": np.maximum(mean - spread, 0), "p50": mean * 0.97, "p90": mean + spread}
    total_quantiles = {"p10": np.maximum(total - wide, 0), "p90": total + wide}
    if shares:
        steps = {name_quantile(share): np.float32(NormalDist().inv_cdf(share) / 1.28) for share in shares}
        quantiles = {name: np.maximum(mean + step * spread, 0) for name, step in steps.items()}
        total_quantiles = {name: np.maximum(total + step * wide, 0) for name, step in steps.items()}
    return {
        "forecasts": long(ahead, mean=mean, **quantiles),
        "totals": pa.table(
            {
                "store": [store] * horizon,
                "date": pa.array(ahead, pa.date32()),
                "mean": total,
                **total_quantiles,
            }
        ),
        "history": long(behind, units=sold),
        "drivers": pa.table(
            {
                "store": [store] * horizon * len(drivers),
                "date": pa.array(ahead * len(drivers), pa.date32()),
                "driver": np.repeat(list(drivers), horizon),
                "units": np.concatenate(list(drivers.values())).astype(np.float32),
            }
        ),
    }


def publish(
    blobs: BlobStore,
    stores: Iterable[str] = ("S1", "S2", "S3"),
    *,
    run: str = "run-1",
    items: int = 6,
    horizon: int = 14,
    as_of: date = AS_OF,
    generated_at: datetime | None = None,
    seed: int = 1,
    spacing: Spacing = Spacing.DAILY,
    regions: Mapping[str, str] = REGIONS,
    tables: Mapping[str, dict[Kind, pa.Table]] | None = None,
    shares: Sequence[float] = (),
    accuracy: Mapping[str, float] | None = None,
    zones: Mapping[str, str] | None = None,
) -> Manifest:
    """Publish stores as a run would."""
    entries = {}
    for store in stores:
        made = (tables or {}).get(store) or make_tables(store, items, horizon, as_of, seed, spacing, shares)
        contents = {object_name(run, store, kind): encode_parquet(table) for kind, table in made.items()}
        put = put_objects(blobs, contents)
        entries[store] = StoreEntry(
            run=run,
            as_of=as_of,
            generated_at=generated_at or NOW - timedelta(hours=4),
            horizon=horizon,
            spacing=spacing,
            items=items,
            model=PublishedModel(name=f"foreact-{store}", version="3"),
            data_hash=f"hash-{seed}-{as_of}",
            code_version="test",
            objects={kind: put[object_name(run, store, kind)] for kind in made},
            accuracy=dict(accuracy or {"wape": 0.21, "bias": 0.01, "coverage": 0.8, "naive_wape": 0.34}),
            quantiles=name_quantiles(shares),
            attributes={
                **({"region": regions[store]} if store in regions else {}),
                **({TIME_ZONE: zones[store]} if zones and store in zones else {}),
            },
        )
    return Publisher(blobs, now=lambda: generated_at or NOW).publish(entries, by=f"run {run}", reason="test").manifest
