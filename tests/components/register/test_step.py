"""What registering leaves behind when it cannot be done, and what the page says when it is."""

import json
import os
import socket
import threading
from datetime import date, timedelta

import pytest

from components.publish.step import publish
from components.register.step import register, register_owed
from foreact.blobs import connect
from foreact.blobs.folder import FolderStore
from foreact.publications import CURRENT
from foreact.registry import Registry
from foreact.runs.events import Events
from foreact.runs.owed import RunOrigin, list_owed, list_unreadable, owed_name
from foreact.settings import PipelineSettings
from tests.services import serve_mlflow
from tests.trainings import write_training


def read_warnings(path):
    notes = (json.loads(line).get("text", "") for line in path.read_text().splitlines())
    return [text for text in notes if text.startswith("warning")]


def test_what_a_server_that_breaks_off_was_not_told_is_owed(tmp_path, monkeypatch):
    """The server takes every connection and drops it."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    events = Events(tmp_path / "events")
    settings = PipelineSettings(workspace=tmp_path / "workspace")
    write_training(tmp_path / "trained", settings, "r", {"1": {}})
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drop() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=drop, daemon=True).start()
        away = settings.model_copy(update={"mlflow_uri": f"http://127.0.0.1:{server.getsockname()[1]}"})
        parts = {"trained": tmp_path / "trained", "versions": tmp_path / "versions.json", "events": events}
        done = register(**parts, origin=RunOrigin(run="r", pipeline="retrain-all"), settings=away)
        server.shutdown(socket.SHUT_RDWR)
    told = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    [note] = read_warnings(tmp_path / "events")
    assert note.startswith("warning: nothing was registered, a later run will do it: The model registry at")
    assert (told[-1]["step"], told[-1]["state"]) == ("register", "succeeded")
    assert "| 1 | promoted | not registered yet |" in done.summary
    assert done.metrics["runs_owed"] == 1
    found = done.versions.stores["1"]
    assert (found.run, found.version, found.registered, found.promoted) == ("r", None, None, True)

    # What cannot be read is passed over, and stays for whoever mends it.
    connect(settings).write(owed_name("a torn one"), b"PK")
    [origin] = register_owed(Registry.connect(settings), connect(settings))
    assert list_owed(connect(settings)) == [owed_name("a torn one")]
    connect(settings).delete(owed_name("a torn one"))
    assert (origin.run, origin.pipeline) == ("r", "retrain-all")
    champion = Registry.connect(settings).find_champions(["1"])["1"]
    assert (champion.run, champion.version) == ("r", "1")
    assert list_owed(connect(settings)) == []
    assert register_owed(Registry.connect(settings), connect(settings)) == []


def test_that_nothing_was_deleted_is_a_warning_once_something_is_published(workspace, tmp_path):
    settings, blobs = PipelineSettings(workspace=workspace), FolderStore(workspace / "blobs")
    write_training(tmp_path / "trained", settings, "first", {"Kiel": {}})
    parts = {"trained": tmp_path / "trained", "versions": tmp_path / "versions.json", "settings": settings}
    events = Events(tmp_path / "events")
    register(**parts, origin=RunOrigin(run="first"), events=events)
    publish(**parts, events=events)
    register(**parts, origin=RunOrigin(run="second"), events=events)
    assert read_warnings(tmp_path / "events") == []
    blobs.delete(CURRENT)
    register(**parts, origin=RunOrigin(run="third"), events=events)
    [note] = read_warnings(tmp_path / "events")
    assert note.startswith("warning: what is too old was not deleted, a later run will do it: Nothing that could be")


def test_what_is_owed_too_long_and_cannot_be_read_is_forgotten_though_the_registry_answers(workspace, tmp_path):
    settings, blobs = PipelineSettings(workspace=workspace), FolderStore(workspace / "blobs")
    write_training(tmp_path / "trained", settings, "named", {"Kiel": {}})
    parts = {"trained": tmp_path / "trained", "versions": tmp_path / "versions.json", "settings": settings}
    events = Events(tmp_path / "events")
    for name in ("long ago", "named", "lately"):
        blobs.write(owed_name(name), b"PK")
    register(**parts, origin=RunOrigin(run="named"), events=events)
    publish(**parts, events=events)
    blobs.write(owed_name("named"), b"PK")
    for name in ("long ago", "named"):
        os.utime(workspace / "blobs" / owed_name(name), (0, 0))
    register(**parts, origin=RunOrigin(run="now", store="Kiel"), events=events)
    assert len(list_owed(blobs)) == 3
    register(**parts, origin=RunOrigin(run="now"), events=events)
    assert sorted(list_owed(blobs)) == [owed_name("lately"), owed_name("named")]
    assert [problem.partition(" ")[0] for problem in list_unreadable(blobs)] == sorted(list_owed(blobs))
    [warning] = read_warnings(tmp_path / "events")
    assert warning == f"warning: owed for more than 30 days and forgotten: {owed_name('long ago')!r}."


class Progress(Events):
    """Events of which the third sign of progress takes the server away."""

    def __init__(self, path, server):
        super().__init__(path)
        self.server = server

    def progress(self, step, done, total, detail=""):
        super().progress(step, done, total, detail)
        if done == 3:
            self.server.stop()


@pytest.mark.postgres
@pytest.mark.azurite
def test_what_a_server_that_stopped_in_the_middle_lacks_is_published_and_completed_by_the_next_run(
    postgres, azurite, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    stores = [f"middle-{number}" for number in range(40)]

    def run(name, scale, told=Events):
        if not (tmp_path / name).exists():
            write_training(tmp_path / name, settings, name, {store: {} for store in stores}, scale=scale)
        parts = {"trained": tmp_path / name, "versions": tmp_path / f"{name}.json", "settings": settings}
        register(**parts, origin=RunOrigin(run=name), events=told(tmp_path / "events"))
        return publish(**parts, events=told(tmp_path / "events")).outcome.manifest

    with serve_mlflow(postgres, azurite, tmp_path) as server:
        settings = PipelineSettings(workspace=tmp_path, mlflow_uri=server.url, **azurite.settings())
        run("first", 1.0)
        second = run("second", 2.0, lambda path: Progress(path, server))
        assert {(entry.model.run, entry.model.version) for entry in second.stores.values()} == {("second", None)}
        server.start()
        half = Registry.connect(settings).find_champions(stores)
        assert 0 < sum(champion.run == "second" for champion in half.values()) < len(stores)
        third = run("third", 3.0)
        registry = Registry.connect(settings)
        numbers = {store: registry.load_version(store, "2").run for store in stores}
        champions = registry.find_champions(stores)
    assert numbers == dict.fromkeys(stores, "second")
    assert {store: entry.model.version for store, entry in third.stores.items()} == dict.fromkeys(stores, "3")
    assert {(champion.run, champion.version) for champion in champions.values()} == {("third", "3")}


def test_the_page_tells_every_decision_and_no_id_is_markup(workspace, tmp_path):
    stores = {
        "a|b<script>": {},
        "kept": {
            "outcome": "kept",
            "reason": "worse by 9 %",
            "champion_version": "4",
            "champion_run": "before",
            "champion_accuracy": {"wape": 0.1},
        },
        "poor": {"outcome": "fallback", "fallback": "too little history", "model": False},
    }
    settings = PipelineSettings(workspace=workspace)
    write_training(tmp_path / "trained", settings, "r", stores)
    page = register(
        trained=tmp_path / "trained",
        versions=tmp_path / "versions.json",
        origin=RunOrigin(run="r"),
        settings=settings,
        events=Events(tmp_path / "events"),
    )
    assert "## Gate: 1 of 3 stores promoted" in page.summary
    assert "| kept | champion kept | 4 | 0.200 | 0.100 | worse by 9 % |" in page.summary
    assert "| poor | fallback | none |  |  | too little history |" in page.summary.replace("0.200", "")
    assert "<script>" not in page.summary
    assert "a&#124;b&#60;script&#62;" in page.summary
    assert page.metrics == {"stores": 3, "promoted": 1, "kept": 1, "fallback": 1, "held": 0, "runs_owed": 0}
    versions = json.loads((tmp_path / "versions.json").read_text())["stores"]
    expected = {"name": "foreact-kept", "run": "before", "version": "4", "registered": "1", "promoted": False}
    assert versions["kept"] == expected
    assert versions["poor"]["version"] is None


FIGURES = {"wape": 0.123456789012345, "bias": 0.01, "scaled_error": 0.7, "coverage": 0.8, "pinball": 0.3}


def test_mlflow_shows_the_figures_of_the_run_and_of_each_store_by_date(workspace, tmp_path):
    settings = PipelineSettings(workspace=workspace)
    fields = {
        "accuracy": FIGURES,
        "challenger_accuracy": FIGURES,
        "champion_accuracy": {"wape": 0.3},
        "baselines": {"seasonal_naive": {"wape": 0.4, "scaled_error": 1.0}},
        "experts": {"chain": {"share": 0.25, "scaled_error": 0.8}},
        "scorecard": {"wape": 0.2, "bias": -0.1},
    }
    nights = [date(2024, 3, 30), date(2024, 3, 31)]
    for as_of in nights:
        stores = {"Kiel": fields, "Ulm": {"scorecard": {"wape": 0.4}}}
        write_training(tmp_path / str(as_of), settings, f"night {as_of}", stores, as_of=as_of)
        register(
            trained=tmp_path / str(as_of),
            versions=tmp_path / "versions.json",
            origin=RunOrigin(run=f"night {as_of}", pipeline="retrain-all", code_version="abc"),
            settings=settings,
            events=Events(tmp_path / "events"),
        )
    registry = Registry.connect(settings)
    version = registry.client.get_model_version_by_alias("foreact-Kiel", "champion")
    assert {name: version.tags[f"foreact.{name}"] for name in ("wape", "champion_wape", "experts")} == {
        "wape": "0.1235",
        "champion_wape": "0.3000",
        "experts": "chain 25%",
    }
    assert version.description == (
        "Data up to 2024-03-31: promoted. beats the baseline\n\nBacktest: bias 0.010, scaled error 0.700, wape 0.123."
    )

    run = registry.client.get_run(version.run_id)
    assert run.info.run_name == "retrain-all 2024-03-31"
    assert run.data.params["source_version"] == "source-1"
    assert run.data.params["code_version"] == "abc"
    averages = {"stores": 2, "promoted": 2, "seasonal_naive_wape": 0.4, "live_bias": -0.1, "coverage": 0.8}
    assert run.data.metrics == pytest.approx(run.data.metrics | averages)
    assert run.data.metrics["live_wape"] == pytest.approx(0.3)

    charts = registry.client.get_experiment_by_name("foreact-stores").experiment_id
    runs = {each.info.run_name: each for each in registry.client.search_runs([charts])}
    assert set(runs) == {"Kiel", "Ulm", "all stores"}
    of_kiel = runs["Kiel"].data.metrics
    assert of_kiel == pytest.approx(
        {name: FIGURES[name] for name in ("wape", "bias", "scaled_error", "coverage")}
        | {f"challenger_{name}": FIGURES[name] for name in ("wape", "bias", "scaled_error")}
        | {"champion_wape": 0.3, "seasonal_naive_wape": 0.4, "seasonal_naive_scaled_error": 1.0}
        | {"live_wape": 0.2, "live_bias": -0.1}
    )
    for name in ("Kiel", "all stores"):
        points = registry.client.get_metric_history(runs[name].info.run_id, "live_wape")
        assert [date(1970, 1, 1) + timedelta(each.step) for each in points] == nights


def test_the_averages_of_one_store_are_not_charted_as_the_chain_s(workspace, tmp_path):
    settings = PipelineSettings(workspace=workspace)
    write_training(tmp_path / "trained", settings, "r", {"Kiel": {}})
    parts = {"trained": tmp_path / "trained", "versions": tmp_path / "versions.json", "settings": settings}
    register(**parts, origin=RunOrigin(run="r", store="Kiel"), events=Events(tmp_path / "events"))
    registry = Registry.connect(settings)
    experiments = [registry.client.get_experiment_by_name(name) for name in ("foreact", "foreact-stores")]
    names = [[run.info.run_name for run in registry.client.search_runs([each.experiment_id])] for each in experiments]
    assert names == [["retrain-store Kiel 2024-03-31"], ["Kiel"]]
