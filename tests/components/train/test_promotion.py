"""A registered version of somebody's choice: judged as the gate does, published for its store alone, and told of."""

import json
import re
import shutil
from datetime import date
from pathlib import Path

import pytest

from components.publish.step import publish
from components.register.step import register
from components.train.live import LiveChain, make_live_finder, make_version_finder
from components.train.step import train
from foreact.blobs import connect
from foreact.data.dataset.stored import Dataset
from foreact.errors import ForeactError
from foreact.packing import pack_folder, unpack_folder
from foreact.publications import Reader
from foreact.publications.contract import Manifest
from foreact.registry import Candidate, Registry
from foreact.registry.records import PACKED
from foreact.runs.events import Events
from foreact.runs.ledger import RunLedger, make_record_sink
from foreact.runs.owed import RunOrigin
from foreact.runs.process import TaskSize
from foreact.runs.trained import Promotion, Trained
from foreact.settings import PipelineSettings
from tests.components.train.small import copy_dataset
from tests.shops import days, take_in, write_rows

CHOICE = Promotion(version="1", reason="the newer one misses Fridays", by="anna")


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    """Return the data of each store, and of the one a week later."""
    folder = tmp_path_factory.mktemp("data")

    def write_sales(name: str, last: date) -> Dataset:
        sold = [(day, name[0], item, 5 + 2 * day.weekday() + day.day % 3) for day in days(200, last) for item in "ab"]
        return take_in(folder / name, write_rows(folder / f"{name}.csv", sold), store=name[0], today=date(2025, 4, 8))

    march = date(2025, 3, 31)
    return {
        "S": write_sales("S", march),
        "T": write_sales("T", march),
        "later": write_sales("S later", date(2025, 4, 7)),
    }


def run_steps(
    data: Dataset, workspace: Path, run: str, promotion: Promotion | None = None, margin: float = 0.02
) -> None:
    """Run the steps after ingest and validate, as a run of one store or of all does."""
    settings, folder = PipelineSettings(workspace=workspace), workspace / run
    events = Events(workspace / f"{run}.jsonl", make_record_sink(RunLedger(connect(settings)), run))
    trained, versions = folder / "trained", folder / "versions.json"
    data = copy_dataset(data, workspace)
    train(
        run=run,
        data=data,
        trained=trained,
        report=folder / "report.html",
        find_live=make_live_finder(settings),
        find_chain=LiveChain,
        margin=margin,
        seed=0,
        quantiles="p5",
        max_fallback_share=1.0,
        events=events,
        size=TaskSize.parse("1", "2Gi"),
        promotion=promotion,
        find_chosen=make_version_finder(settings, promotion.version) if promotion else None,
    )
    origin = RunOrigin(run=run, store=data.stores[0])
    register(trained=trained, versions=versions, origin=origin, settings=settings, events=events)
    publish(trained=trained, versions=versions, settings=settings, events=events)


@pytest.fixture(scope="module")
def place(datasets: dict[str, Dataset], tmp_path_factory: pytest.TempPathFactory, mlflow_tables: Path) -> Path:
    """Return a workspace with two versions of one store, the newer one live, and another store."""
    workspace = tmp_path_factory.mktemp("place")
    shutil.copy(mlflow_tables, workspace / "mlflow.db")
    for run, name in {"first": "S", "second": "S", "other": "T"}.items():
        run_steps(datasets[name], workspace, run)
    return workspace


def read_manifest(workspace: Path) -> Manifest:
    return Reader(connect(PipelineSettings(workspace=workspace))).read_current().manifest


def test_a_chosen_version_is_published_for_its_store_alone_and_live(datasets: dict[str, Dataset], place: Path) -> None:
    before = read_manifest(place)
    run_steps(datasets["later"], place, "third", CHOICE)

    after, registry = read_manifest(place), Registry.connect(PipelineSettings(workspace=place))
    assert (after.created_by, after.reason) == ("anna", "version 1 of S promoted: the newer one misses Fridays")
    assert after.stores["T"] == before.stores["T"]
    assert (before.stores["S"].model.version, after.stores["S"].model.version) == ("2", "1")
    assert after.stores["S"].model.run == "first"
    assert (after.stores["S"].run, after.stores["S"].as_of) == ("third", datasets["later"].info.as_of)
    champions = registry.find_champions(["S", "T"])
    assert (champions["S"].version, champions["T"].version) == ("1", "1")

    version = registry.client.get_model_version("foreact-S", "1")
    assert version.tags["foreact.promoted_by"] == "anna"
    assert (
        "Promoted by anna in run third, on data up to 2025-04-07: the newer one misses Fridays." in version.description
    )
    assert "Data up to" in version.description.split("\n")[0]
    runs = registry.client.search_runs([registry.experiment], "tags.`foreact.run` = 'third'")
    assert [run.info.run_name for run in runs] == ["promote S 2025-04-07"]
    assert (runs[0].data.params["version"], runs[0].data.params["by"]) == ("1", "anna")
    assert [len(registry.client.search_model_versions(f"name = 'foreact-{store}'")) for store in "ST"] == [2, 1]

    record = RunLedger(connect(PipelineSettings(workspace=place))).read_history().find_run("third")
    assert record is not None
    assert record.parameters == record.parameters | CHOICE.model_dump()
    told = [json.loads(line) for line in (place / "third.jsonl").read_text().splitlines()]
    (note,) = [each["text"] for each in told if each["event"] == "note" and "scaled error" in each["text"]]
    assert note.startswith("by scaled error: Version 1 of foreact-S 0.")
    assert "; the live model 0." in note
    assert "; seasonal naive " in note


def test_one_that_loses_changes_nothing_unless_it_is_forced(datasets: dict[str, Dataset], place: Path) -> None:
    before = read_manifest(place)
    # Ten times as good as the live model, which is the very version.
    with pytest.raises(ForeactError, match="Version 1 of foreact-S is not promoted: scaled error 0") as e:
        run_steps(datasets["later"], place, "lost", CHOICE, margin=-0.9)
    assert str(e.value).endswith("What was published stays as it was; with --force it is published all the same.")
    assert (place / "lost" / "report.html").exists()
    assert read_manifest(place) == before
    run_steps(datasets["later"], place, "forced", CHOICE.model_copy(update={"force": True}), margin=-0.9)
    assert read_manifest(place).stores["S"].run == "forced"
    record = Trained.read(place / "forced" / "trained").stores["S"]
    assert record.reason.startswith("by force, although scaled error 0.")


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("9", "foreact-S has no version '9' in "),
        ("3", "Version 3 of foreact-S cannot be promoted: it cannot be read by this software."),
        ("4", "Version 4 of foreact-S cannot be promoted: it goes by 'offer', which the data lacks."),
    ],
)
def test_what_cannot_be_used_is_refused(
    datasets: dict[str, Dataset], place: Path, tmp_path: Path, version: str, sentence: str
) -> None:
    registry = Registry.connect(PipelineSettings(workspace=place))
    model = tmp_path / "model"
    unpack_folder(registry.load_version("S", "1").packed, model)
    about = json.loads((model / "model.json").read_text())
    for run, changed in {
        "format": {"format": 0},
        "column": {"columns": about["columns"] | {"flags": ["offer"]}},
    }.items():
        (model / "model.json").write_text(json.dumps(about | changed))
        files = {PACKED: pack_folder(model)}
        registry.register_models(run, [Candidate("S", lambda files=files: files, False, "2025-03-31")])
    before = read_manifest(place)
    with pytest.raises(ForeactError, match=re.escape(sentence)):
        run_steps(datasets["later"], place, f"version {version}", CHOICE.model_copy(update={"version": version}))
    assert read_manifest(place) == before


def test_a_promotion_needs_a_reason() -> None:
    assert Promotion.parse(version="", reason="", by="", force=False) is None
    with pytest.raises(ForeactError, match="Version 1 is not promoted without a reason"):
        Promotion.parse(version="1", reason=" ", by="anna", force=True)
