"""Store 1's answer comes from store 1's data: from shuffled rows to what the service says, twice over."""

import csv
import random
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from components.publish.step import publish
from components.register.step import register
from components.train.live import make_live_finder
from components.train.step import train
from components.validate.step import validate
from foreact.blobs import connect
from foreact.naming import encode_id
from foreact.publications import Reader
from foreact.runs import defaults
from foreact.runs.events import Events
from foreact.runs.owed import RunOrigin
from foreact.runs.process import TaskSize
from foreact.settings import PipelineSettings
from serving.app import create_app
from serving.auth import keys
from serving.auth.principal import Grant
from serving.settings import ServingSettings
from tests.shops import TODAY, days, take_in

# Each store's sales have a level of their own, far from every other's.
LEVELS = {"10": 4, "1": 16, "01": 64, "Köln/Süd, 1": 256, "../1": 1024, "1 ": 4096}
CSV_FIELDS = ["date", "store", "item", "units"]


def write_sales(path: Path, seed: int) -> None:
    """Write the sales of all stores, shuffled, a third of the days missing, items in another order in each store."""
    generator = random.Random(seed)
    rows = [
        [str(day), store, item, str(round(level * share * generator.uniform(0.9, 1.1)))]
        for store, level in LEVELS.items()
        for item, share in (("x", 1), ("y", 2))
        for day in days(150)
        if generator.random() > 0.33 or day == days(150)[-1]
    ]
    generator.shuffle(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([CSV_FIELDS, *rows])


@pytest.mark.ray
@pytest.mark.slow
def test_every_store_s_answer_comes_from_its_own_data(workspace, tmp_path):
    settings = PipelineSettings(workspace=workspace)
    events = Events(tmp_path / "events")
    for turn in (1, 2):
        folder = tmp_path / f"run-{turn}"
        folder.mkdir()
        write_sales(folder / "sales.csv", seed=turn)
        # The second time one store alone, with the first time's champion.
        store = "" if turn == 1 else "1"
        taken = take_in(workspace, folder / "sales.csv", missing="unknown", store=store)
        checked = validate(
            max_rejected_share=defaults.MAX_REJECTED_SHARE,
            dataset=taken,
            rejected=folder / "rejected.csv",
            events=events,
            today=TODAY,
        ).checked
        train(
            run=f"run-{turn}",
            data=checked,
            trained=folder / "trained",
            report=folder / "report.html",
            find_live=make_live_finder(settings),
            margin=0.5,
            seed=0,
            quantiles=defaults.QUANTILES,
            max_fallback_share=0.0,
            events=events,
            size=TaskSize.parse("2", "4Gi"),
        )
        versions = folder / "versions.json"
        register(
            trained=folder / "trained",
            versions=versions,
            origin=RunOrigin(run=f"run-{turn}"),
            settings=settings,
            events=events,
        )
        publish(trained=folder / "trained", versions=versions, settings=settings, events=events)

        reader = Reader(connect(settings))
        manifest = reader.read_current().manifest
        assert set(manifest.stores) == set(LEVELS)
        for name, entry in manifest.stores.items():
            assert entry.run == ("run-2" if name == "1" and turn == 2 else "run-1")
            assert entry.model.name == f"foreact-{encode_id(name)}"
            table = reader.read_table(entry.objects["forecasts"]).to_pylist()
            assert {row["store"] for row in table} == {name}
            for row in table:
                expected = LEVELS[name] * (1 if row["item"] == "x" else 2)
                assert expected / 1.5 < row["mean"] < expected * 1.5, (name, row)
            for row in reader.read_table(entry.objects["totals"]).to_pylist():
                assert row["store"] == name
                assert LEVELS[name] * 2 < row["mean"] < LEVELS[name] * 4.5, (name, row)
        check_answers(settings)


def check_answers(settings: PipelineSettings) -> None:
    """Ask the service for each store."""
    store = connect(settings)
    token, _ = keys.create_key(store, "test", Grant(role="admin"), created_by="test")
    app = create_app(ServingSettings(workspace=settings.workspace, _env_file=None), store)
    with TestClient(app, base_url="http://127.0.0.1:8000", headers={"authorization": f"Bearer {token}"}) as client:
        for name, level in LEVELS.items():
            rows = client.get("/v1/forecasts", params={"store": name}).json()["rows"]
            assert {row["item"] for row in rows} == {"x", "y"}
            for row in rows:
                assert row["store"] == name
                expected = level * (1 if row["item"] == "x" else 2)
                assert expected / 1.5 < row["mean"] < expected * 1.5, (name, row)
