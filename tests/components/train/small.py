"""A dataset small enough to train again and again."""

import shutil
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from components.ingest.step import ingest
from components.train.worker import StoreJob, StoreOutcome
from foreact.blobs import BlobPlace
from foreact.blobs.connecting import FOLDER
from foreact.data.dataset.stored import Dataset
from foreact.publications import Kind
from foreact.runs.events import Events

DAYS, ITEMS = 240, 4


def make_dataset(folder: Path, stores: int, seed: int = 7, place: BlobPlace | None = None) -> Dataset:
    """Write some stores' sales and take them in."""
    draw = np.random.default_rng(seed)
    lines = ["date,store,item,units"]
    for store in range(stores):
        for item in range(ITEMS):
            level = draw.uniform(2, 20)
            for day in range(DAYS):
                units = draw.poisson(level * (1.5 if day % 7 in {5, 6} else 1.0))
                lines.append(f"{date(2026, 1, 1) + timedelta(days=day)},S{store},I{item},{units}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sales.csv").write_text("\n".join(lines) + "\n")
    done = ingest(
        history=str(folder / "sales.csv"), known=[], columns="", country="", as_of="", horizon=7, missing="auto",
        store="", place=place or BlobPlace(folder), events=Events(), scratch=folder,
        today=date(2026, 8, 29),
    )  # fmt: skip
    return done.dataset


def make_jobs(data: Dataset, stores: list[str] | None = None) -> dict[str, StoreJob]:
    """Return the stores' work; all of them if none are named."""
    return {s: StoreJob(run="r", parcel=data.find_parcel(s), margin=0.02, seed=0) for s in stores or data.stores}


def copy_dataset(data: Dataset, workspace: Path) -> Dataset:
    """Copy a dataset into another workspace, where a run's own models and forecasts lie beside it."""
    shutil.copytree(data.place.workspace / FOLDER / "dataset", workspace / FOLDER / "dataset", dirs_exist_ok=True)
    return Dataset(data.info, BlobPlace(workspace))


def read_objects(job: StoreJob, outcome: StoreOutcome) -> dict[Kind, bytes]:
    """Return the objects that were written of a store."""
    return {kind: job.connect().read_object(each) for kind, each in outcome.record.objects.items()}


def read_challenger(job: StoreJob, outcome: StoreOutcome) -> bytes:
    """Return the packed new model of a store."""
    assert outcome.record.challenger is not None
    return job.connect().read_object(outcome.record.challenger)
