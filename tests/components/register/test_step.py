"""What registering leaves behind when it cannot be done, and what the page says when it is."""

import json
import socket
import threading

import pytest

from components.publish.step import publish
from components.register.step import register
from foreact.blobs import connect
from foreact.publications import Reader
from foreact.registry import Registry, RegistryUnavailable
from foreact.runs.events import Events
from foreact.settings import PipelineSettings
from tests.services import serve_mlflow
from tests.trainings import write_training


def test_a_server_that_breaks_off_is_one_sentence_and_leaves_no_versions(tmp_path, monkeypatch):
    """The server takes every connection and drops it."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    write_training(tmp_path / "trained", {"1": {}})
    events = Events(tmp_path / "events")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drop() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=drop, daemon=True).start()
        settings = PipelineSettings(mlflow_uri=f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(RegistryUnavailable, match=r"^The model registry at .* then run again\.$"):
            register(
                trained=tmp_path / "trained",
                versions=tmp_path / "versions.json",
                run="r",
                settings=settings,
                events=events,
            )
        server.shutdown(socket.SHUT_RDWR)
    assert not (tmp_path / "versions.json").exists()
    last = json.loads((tmp_path / "events").read_text().splitlines()[-1])
    assert (last["step"], last["state"]) == ("register", "failed")
    assert last["sentence"].startswith("The model registry at")


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
def test_a_server_stopped_in_the_middle_changes_nothing_published_and_a_rerun_completes(
    postgres, azurite, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    stores = [f"middle-{number}" for number in range(40)]

    def run(name, scale, told=Events):
        if not (tmp_path / name).exists():
            write_training(tmp_path / name, {store: {} for store in stores}, scale=scale)
        parts = {"trained": tmp_path / name, "versions": tmp_path / f"{name}.json", "settings": settings}
        register(**parts, run=name, events=told(tmp_path / "events"))
        return publish(**parts, events=told(tmp_path / "events")).outcome.manifest

    with serve_mlflow(postgres, azurite, tmp_path) as server:
        settings = PipelineSettings(workspace=tmp_path, mlflow_uri=server.url, **azurite.settings())
        first = run("first", 1.0)
        with pytest.raises(RegistryUnavailable, match=r"^The model registry at .* then run again\.$"):
            run("second", 2.0, lambda path: Progress(path, server))
        assert Reader(connect(settings)).read_current().manifest == first
        assert not (tmp_path / "second.json").exists()
        server.start()
        half = Registry.connect(settings).find_champions(stores)
        assert 0 < sum(champion.run == "second" for champion in half.values()) < len(stores)
        second = run("second", 2.0)
        champions = Registry.connect(settings).find_champions(stores)
    assert second.version == 2
    assert {store: entry.model.version for store, entry in second.stores.items()} == dict.fromkeys(stores, "2")
    assert {(champion.run, champion.version) for champion in champions.values()} == {("second", "2")}


def test_the_page_tells_every_decision_and_no_id_is_markup(workspace, tmp_path):
    stores = {
        "a|b<script>": {},
        "kept": {
            "outcome": "kept",
            "reason": "worse by 9 %",
            "champion_version": "4",
            "champion_accuracy": {"wape": 0.1},
        },
        "poor": {"outcome": "fallback", "fallback": "too little history", "model": False},
    }
    write_training(tmp_path / "trained", stores)
    settings = PipelineSettings(workspace=workspace)
    page = register(
        trained=tmp_path / "trained",
        versions=tmp_path / "versions.json",
        run="r",
        settings=settings,
        events=Events(tmp_path / "events"),
    )
    assert "## Gate: 1 of 3 stores promoted" in page.summary
    assert "| kept | champion kept | 4 | 0.200 | 0.100 | worse by 9 % |" in page.summary
    assert "| poor | fallback | none |  |  | too little history |" in page.summary.replace("0.200", "")
    assert "<script>" not in page.summary
    assert "a&#124;b&#60;script&#62;" in page.summary
    assert page.metrics == {"stores": 3, "promoted": 1, "kept": 1, "fallback": 1}
    versions = json.loads((tmp_path / "versions.json").read_text())["stores"]
    assert versions["kept"] == {"name": "foreact-kept", "version": "4", "registered": "1", "promoted": False}
    assert versions["poor"]["version"] is None
