"""A trained, registered and published store, forecast again by mlflow.pyfunc: the same numbers."""

import io
import json
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from components.publish.step import publish
from components.register.step import register
from components.train.step import train
from foreact.blobs import connect
from foreact.blobs.connecting import FOLDER
from foreact.data.dataset.frames import make_frame, make_parcel
from foreact.data.dataset.stored import Dataset
from foreact.demo.files import Demo, write_demo
from foreact.errors import ForeactError
from foreact.publications import Reader, StoreEntry
from foreact.registry import Registry, model_name
from foreact.runs.events import Events
from foreact.runs.owed import RunOrigin
from foreact.runs.process import TaskSize
from foreact.settings import PipelineSettings
from tests.components.train.small import make_dataset
from tests.shops import take_in

LAST, HORIZON = date(2025, 3, 31), 14


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return write_demo(tmp_path_factory.mktemp("demo"), LAST, HORIZON, days=420, stores=2, items=12)


@pytest.fixture(scope="module")
def data(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    return take_in(folder, demo.history, *demo.known, horizon=HORIZON, country="DE-BY")


@dataclass(frozen=True)
class Training:
    """A training's record, its run, and the data beside which its objects lie."""

    record: Path
    run: str
    data: Dataset


def train_all(data: Dataset, folder: Path) -> Training:
    # Tests share the server, and there the runs.
    run = f"pyfunc-{uuid4()}"
    train(
        run=run,
        data=data,
        trained=folder / "trained",
        report=folder / "report.html",
        find_live=lambda stores, as_of: {},
        margin=0.02,
        seed=0,
        quantiles="p5",
        max_fallback_share=0.0,
        events=Events(),
        size=TaskSize.parse("1", "2Gi"),
    )
    return Training(folder / "trained", run, data)


@pytest.fixture(scope="module")
def trained(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Training:
    return train_all(data, tmp_path_factory.mktemp("trained"))


@pytest.fixture(params=["workspace", pytest.param("server", marks=[pytest.mark.postgres, pytest.mark.azurite])])
def settings(
    request: pytest.FixtureRequest, workspace: Path, trained: Training, tmp_path: Path
) -> Iterator[PipelineSettings]:
    """Return a place where the training is registered and published."""
    uri = request.getfixturevalue("mlflow_server") if request.param == "server" else ""
    settings = PipelineSettings(workspace=workspace, mlflow_uri=uri)
    with put_live(trained, settings, tmp_path):
        yield settings


@contextmanager
def put_live(trained: Training, settings: PipelineSettings, folder: Path) -> Iterator[None]:
    """Register and publish a training, and let MLflow look there for models."""
    shutil.copytree(trained.data.place.workspace / FOLDER / "forecasts", settings.workspace / FOLDER / "forecasts")
    parts: dict[str, Any] = {"trained": trained.record, "versions": folder / "versions.json", "settings": settings}
    register(**parts, origin=RunOrigin(run=trained.run), events=Events())
    publish(**parts, events=Events())
    mlflow.set_tracking_uri(Registry.connect(settings).uri)
    yield
    mlflow.set_tracking_uri(None)


def read_entry(settings: PipelineSettings, store: str) -> StoreEntry:
    return Reader(connect(settings)).read_current().manifest.stores[store]


def read_published(settings: PipelineSettings, store: str) -> pd.DataFrame:
    objects = read_entry(settings, store).objects
    return pd.read_parquet(io.BytesIO(Reader(connect(settings)).read_object(objects["forecasts"])))


def address_model(settings: PipelineSettings, store: str) -> str:
    """Return the model's address in MLflow; on the server, which tests share, others may have the alias."""
    version = read_entry(settings, store).model.version
    return f"models:/{model_name(store)}" + (f"/{version}" if settings.mlflow_uri else "@champion")


def compare_forecasts(forecast: pd.DataFrame, published: pd.DataFrame) -> None:
    assert list(forecast) == ["store", "item", "date", "mean", "p5", "p10", "p50", "p90"]
    for name in ("store", "item", "date"):
        assert forecast[name].astype(str).tolist() == published[name].astype(str).tolist()
    for name in ("mean", "p5", "p10", "p50", "p90"):
        np.testing.assert_array_equal(forecast[name].to_numpy(), published[name].to_numpy())


def test_a_registered_model_forecasts_by_pyfunc_what_was_published(settings: PipelineSettings, data: Dataset) -> None:
    for store in data.stores:
        model = mlflow.pyfunc.load_model(address_model(settings, store))
        forecast = model.predict(make_frame(data.pack_store(store)))
        assert model.metadata.get_output_schema().input_names() == list(forecast)
        compare_forecasts(forecast, read_published(settings, store))


def test_the_file_that_mlflow_reads_names_our_loader_and_nothing_to_execute(
    settings: PipelineSettings, data: Dataset, tmp_path: Path
) -> None:
    store = data.stores[0]
    (tmp_path / "downloaded").mkdir()
    target = str(tmp_path / "downloaded")
    folder = Path(mlflow.artifacts.download_artifacts(address_model(settings, store), dst_path=target))
    about = json.loads((folder / "MLmodel").read_text())
    assert about["flavors"] == {
        "python_function": {"loader_module": "foreact.registry.pyfunc", "python_version": platform.python_version()}
    }
    chain = read_entry(settings, store).chain
    assert chain is not None
    assert about["metadata"]["foreact"]["chain_version"] == chain.version
    files = {path.name for path in folder.iterdir()} - {"registered_model_meta"}
    assert files == {"MLmodel", "model.zip"}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Training]:
    """Return a history without anything known, and a training on it."""
    folder = tmp_path_factory.mktemp("plain")
    data = make_dataset(folder, 1)
    return folder / "sales.csv", train_all(data, folder)


def read_plain(history: Path) -> pd.DataFrame:
    """Return a frame as somebody makes it by hand: the history, and the week to forecast with empty units."""
    rows = pd.read_csv(history, parse_dates=["date"])
    ahead = pd.date_range(rows["date"].max() + pd.Timedelta(days=1), periods=7)
    return pd.concat(
        [
            rows,
            pd.MultiIndex.from_product(
                [ahead, ["S0"], rows["item"].unique()], names=["date", "store", "item"]
            ).to_frame(index=False),
        ]
    )


def test_a_frame_made_by_hand_gives_what_was_published(
    plain: tuple[Path, Training], workspace: Path, tmp_path: Path
) -> None:
    history, trained = plain
    settings = PipelineSettings(workspace=workspace)
    with put_live(trained, settings, tmp_path):
        model = mlflow.pyfunc.load_model("models:/foreact-S0@champion")
    frame = read_plain(history)
    compare_forecasts(model.predict(frame.sample(frac=1, random_state=0)), read_published(settings, "S0"))

    past = frame[frame["units"].notna()]
    spoilt = {
        "needs the history": frame.assign(units=np.nan),
        "add the days to forecast": past,
        "looks 7 ahead": pd.concat([frame, frame.tail(1).assign(date=frame["date"].max() + pd.Timedelta(days=1))]),
        "twice on 2026-01-01": pd.concat([frame, frame.head(1)]),
        "rows of 'S9'": pd.concat([frame, frame.head(1).assign(store="S9")]),
        "without an item or a date": pd.concat([frame, frame.head(1).assign(item=None)]),
    }
    for problem, wrong in spoilt.items():
        with pytest.raises(ForeactError, match=problem):
            model.predict(wrong)
    with pytest.raises(MlflowException, match="missing inputs"):
        model.predict(frame.drop(columns="units"))


def test_a_value_a_day_that_differs_between_items_is_refused(data: Dataset) -> None:
    parcel = data.pack_store(data.stores[0])
    known = parcel.make_panel().known
    name = next(each for each in parcel.make_panel().categories if known[each].ndim == 1)
    frame = make_frame(parcel)
    frame.loc[frame[name].notna().idxmax(), name] = "a feast of its own"
    with pytest.raises(ForeactError, match=f"'{name}' differs between items on"):
        make_parcel(parcel.info, frame, by_item={each for each in known if known[each].ndim == 2})


def test_a_frame_and_back_is_the_same_panel(data: Dataset) -> None:
    parcel = data.pack_store(data.stores[1])
    panel = parcel.make_panel()
    by_item = {name for name, values in panel.known.items() if values.ndim == 2}
    assert by_item
    again = make_parcel(parcel.info, make_frame(parcel), by_item).make_panel()
    for each in fields(panel):
        np.testing.assert_equal(getattr(again, each.name), getattr(panel, each.name))
