"""A champion that is lost, tampered with or of another format: refused, told, and no reason to stop."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.publish.step import publish
from components.register.step import Registered, register
from components.train.live import LiveChain, LiveStore, make_live_finder
from components.train.losses import find_chain_losses, refuse_losses
from components.train.step import train
from components.train.worker import RegisteredModel, StoreJob, train_store_job
from foreact.blobs import connect
from foreact.data.dataset.stored import Dataset
from foreact.errors import ForeactError
from foreact.forecasting import GateOutcome
from foreact.packing import pack_folder, unpacked
from foreact.publications import Reader, put_object
from foreact.registry import Candidate, Registry
from foreact.registry.records import PACKED, artifact_name
from foreact.runs.events import Events
from foreact.runs.owed import RunOrigin
from foreact.runs.process import TaskSize
from foreact.runs.trained import Trained
from foreact.settings import PipelineSettings
from tests.components.train.small import copy_dataset, make_dataset, make_jobs, read_challenger
from tests.shops import days, take_in, write_rows

STORE = "S0"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("data"), 1)


def run_once(data: Dataset, workspace: Path, run: str, *, publishes: bool = True) -> Registered:
    settings, folder = PipelineSettings(workspace=workspace), workspace / run
    events = Events(workspace / f"{run}.jsonl")
    trained, versions = folder / "trained", folder / "versions.json"
    figures = train(
        run=run,
        data=data,
        trained=trained,
        report=folder / "report.html",
        find_live=make_live_finder(settings),
        margin=0.02,
        seed=0,
        quantiles="p5",
        max_fallback_share=0.0,
        events=events,
        size=TaskSize.parse("1", "2Gi"),
    )
    events.figures("train", figures)
    registered = register(
        trained=trained, versions=versions, origin=RunOrigin(run=run), settings=settings, events=events
    )
    if publishes:
        publish(trained=trained, versions=versions, settings=settings, events=events)
    return registered


def tamper(registry: Registry, folder: Path) -> None:
    path = folder / "model.zip"
    path.write_bytes(b"not what was registered")
    registry.client.log_artifact(registry.find_champions([STORE])[STORE].mlflow_run, str(path), f"models/{STORE}")


def lose(registry: Registry, folder: Path) -> None:
    run = registry.find_champions([STORE])[STORE].mlflow_run
    registry._open_run_files(run).delete_artifacts(artifact_name(STORE))


def outdate(registry: Registry, folder: Path) -> None:
    with unpacked(registry.load_champions([STORE])[STORE].packed) as model:
        about = json.loads((model / "model.json").read_text())
        (model / "model.json").write_text(json.dumps(about | {"format": 0}))
        files = {PACKED: pack_folder(model)}
    as_of = registry.find_champions([STORE])[STORE].as_of
    registry.register_models("outdated", [Candidate(STORE, lambda: files, True, as_of)])


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (
            tamper,
            "foreact-S0 version 1 is refused because it has been tampered with: its bytes are not those registered.",
        ),
        (lose, "foreact-S0 version 1 is lost: its file is no longer in the registry."),
        (
            outdate,
            "The live model, version 2, cannot be judged beside the new one: it is of an older format, 0 and not 4. "
            "The store is retrained from its data and columns.",
        ),
    ],
)
def test_a_champion_that_cannot_be_used_is_told_everywhere_and_replaced(
    data: Dataset, workspace: Path, tmp_path: Path, spoil: Any, problem: str
) -> None:
    data = copy_dataset(data, workspace)
    # What lies beside the publication is not read in the registry.
    run_once(data, workspace, "first", publishes=False)
    registry = Registry.connect(PipelineSettings(workspace=workspace))
    spoil(registry, tmp_path)
    registered = run_once(data, workspace, "second")

    record = Trained.read(workspace / "second" / "trained").stores[STORE]
    assert record.champion_problem == problem
    assert record.outcome is GateOutcome.PROMOTED
    assert record.reason.startswith(f"{problem} Without it: the first model; scaled error")
    assert "**Live models that could not be used: 1.**" in registered.summary
    assert problem in registered.summary
    assert problem in (workspace / "second" / "report.html").read_text()
    events = [json.loads(line) for line in (workspace / "second.jsonl").read_text().splitlines()]
    [note] = [
        event
        for event in events
        if event["event"] == "note" and event["step"] == "train" and event["text"].startswith("warning")
    ]
    assert (
        note["text"] == f"warning: live models of 'S0' could not be used, new ones were judged without them: {problem}"
    )
    [figures] = [e["figures"] for e in events if e["event"] == "figures" and e["step"] == "train"]
    assert figures["unusable_champions"] == 1
    champion = registry.find_champions([STORE])[STORE]
    assert champion.run == "second"
    found = registry.client.get_model_version(champion.name, champion.version)
    assert found.tags["foreact.reason"] == record.reason
    entry = Reader(connect(PipelineSettings(workspace=workspace))).read_current().manifest.stores[STORE]
    assert (entry.run, entry.model.version) == ("second", champion.version)


def test_a_champion_that_is_damaged_beside_its_numbers_is_told(data: Dataset, workspace: Path) -> None:
    data = copy_dataset(data, workspace)
    run_once(data, workspace, "first")
    blobs = connect(PipelineSettings(workspace=workspace))
    packed = Reader(blobs).read_current().manifest.stores[STORE].model.packed
    assert packed is not None
    blobs.write(packed.name, b"something else")
    run_once(data, workspace, "second")
    record = Trained.read(workspace / "second" / "trained").stores[STORE]
    assert record.outcome is GateOutcome.PROMOTED
    assert "is damaged" in record.champion_problem


def test_earlier_forecasts_that_are_damaged_are_passed_over(data: Dataset) -> None:
    [job] = make_jobs(data).values()
    blobs = data.place.connect()
    torn = put_object(blobs, "forecasts/data/torn/S0.zip", b"torn")
    blobs.write(torn.name, b"to")
    outcome = train_store_job(replace(job, previous={data.info.as_of - timedelta(days=7): torn}), None)
    assert outcome.record.objects.keys() == {"forecasts", "totals", "history", "drivers", "outline"}


def failing(job: StoreJob) -> RegisteredModel:
    """Return a champion that can be loaded, and fails at work."""
    with unpacked(read_challenger(job, train_store_job(job, None))) as folder:
        with np.load(folder / "arrays.npz") as file:
            arrays = {name: array[:1] for name, array in file.items()}
        np.savez(folder / "arrays.npz", **arrays)
        packed = put_object(job.connect().store, "forecasts/data/failing/S0.zip", pack_folder(folder))
    return RegisteredModel("3", "failing", packed)


def test_a_champion_that_fails_while_it_is_judged_costs_no_new_model(data: Dataset) -> None:
    [job] = make_jobs(data).values()
    outcome = train_store_job(replace(job, champion=failing(job)), None)
    problem = "The live model, version 3, failed on the new data."
    assert outcome.record.challenger
    assert outcome.record.outcome is GateOutcome.PROMOTED
    assert outcome.record.champion_problem == problem
    assert outcome.record.reason.startswith(f"{problem} Without it: the first model; scaled error")
    assert not outcome.record.fallback


def test_a_champion_that_fails_on_the_new_data_leaves_the_baseline(data: Dataset) -> None:
    [job] = make_jobs(data).values()
    outcome = train_store_job(replace(job, champion=failing(job), instead="could not be trained: out of memory"), None)
    assert outcome.record.champion_version is None
    assert outcome.record.champion_problem == "The live model, version 3, failed on the new data."
    assert outcome.record.fallback is not None
    assert "the weekday mean is published instead: the store could not be trained" in outcome.record.fallback


def test_nobody_is_judged_on_less_than_champions_knew(tmp_path: Path) -> None:
    sold = [(day, store, "a", 5 + 10 * (day.day < 4)) for day in days(200) for store in "ST"]
    history = write_rows(tmp_path / "sales.csv", sold)
    ahead = days(207, date(2025, 4, 7))
    offers = [(day, store, int(day.day < 4)) for day in ahead for store in "ST"]
    known = write_rows(tmp_path / "offers.csv", offers, "date,store,offer")
    (rich,) = make_jobs(take_in(tmp_path / "rich", history, known, store="S")).values()
    live = {"S": LiveStore(champion=read_challenger(rich, train_store_job(rich, None)))}
    of_region = {"S": replace(live["S"], attributes={"region": "North"})}
    assert live["S"].list_columns(rich.connect().store) == {"offer"}

    def run(
        *tables: Path,
        alone: bool = True,
        night: Sequence[Path] = (),
        live: dict[str, LiveStore] = live,
        accept: bool = False,
    ) -> str:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        train(
            run=folder.name,
            data=take_in(folder, history, *tables, store="S"),
            trained=folder / "trained",
            report=folder / "report.html",
            find_live=lambda stores, as_of: live,
            find_chain=LiveChain if alone else None,
            margin=0.02,
            seed=0,
            quantiles="p5",
            max_fallback_share=1.0,
            events=Events(folder / "events"),
            size=TaskSize.parse("1", "4Gi"),
            night={"history": str(history), "known": [str(table) for table in night]} if night else None,
            accept_losses=accept,
        )
        return (folder / "events").read_text()

    # Whatever share may fall back: the live model itself would be asked without what it knows.
    with pytest.raises(ForeactError, match="The data lacks 'offer', which the live model of store 'S' goes by"):
        run()
    with pytest.raises(ForeactError, match="lacks 'offer'"):
        run(night=[known])
    with pytest.raises(
        ForeactError, match=r"'offer', which the live models of these stores go by: 'S': name the tables"
    ):
        run(alone=False, night=[known])
    assert "accepted by --accept-losses: The data lacks 'offer'" in run(alone=False, accept=True)
    # The night's own tables may lose a column, and the rows of a store.
    bare = write_rows(tmp_path / "bare.csv", offers, "date,store,fair")
    run(bare, alone=False, night=[bare])
    others = write_rows(tmp_path / "others.csv", [row for row in offers if row[1] == "T"], "date,store,offer")
    run(others, night=[others])
    # Without its region the store would leave its planners' view.
    with pytest.raises(ForeactError, match=r"lacks 'region', which store 'S' is published with .* --accept-losses"):
        run(known, night=[known, others], live=of_region)
    regions = write_rows(tmp_path / "regions.csv", [("S", "South"), ("T", "South")], "store,region")
    run(known, regions, live=of_region)
    # Of the whole chain one store may.
    some = write_rows(tmp_path / "some.csv", [("T", "South")], "store,region")
    chain = take_in(tmp_path / "chain", history, known, some)
    assert find_chain_losses(chain, dict.fromkeys("ST", of_region["S"])) == []
    chain = take_in(tmp_path / "regionless", history, known)
    [loss] = find_chain_losses(chain, dict.fromkeys("ST", of_region["S"]))
    assert loss.startswith("The data lacks 'region', which these stores are published with")
    assert loss.endswith(": 'S', 'T'")
    # Nobody knows what a model that is lost went by.
    with pytest.raises(ForeactError, match=r"leaves out '.*offers.csv', known tables of the last retrain-all"):
        run(night=[known], live={"S": LiveStore(problem="It is lost.")})
    told = run(night=[known], live=of_region, accept=True)
    assert "accepted by --accept-losses: The data lacks 'offer'" in told
    assert "accepted by --accept-losses: The data lacks 'region'" in told


def test_a_country_that_is_left_out_is_refused_with_what_it_made_known(tmp_path: Path) -> None:
    sold = [(day, "S", "a", 5 + 10 * (day.day < 4)) for day in days(400)]
    history = write_rows(tmp_path / "sales.csv", sold)
    (rich,) = make_jobs(take_in(tmp_path / "rich", history, country="DE")).values()
    live = {"S": LiveStore(champion=read_challenger(rich, train_store_job(rich, None)))}
    bare, night = take_in(tmp_path / "bare", history), {"history": str(history), "known": [], "country": "DE"}
    for is_whole in (True, False):
        with pytest.raises(ForeactError, match=r"The data lacks 'public holiday'.*--country"):
            refuse_losses(bare, live, night, Events(), is_whole=is_whole, accept=False)
    refuse_losses(bare, live, night | {"country": ""}, Events(), is_whole=True, accept=False)
