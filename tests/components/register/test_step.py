"""What registering leaves behind when it cannot be done, and what the page says when it is."""

import json
import socket
import threading

import pytest

from components.register.step import register
from foreact.events import Events
from foreact.registry import RegistryUnavailable
from foreact.settings import PipelineSettings
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


def test_the_page_tells_every_decision_and_no_id_is_markup(workspace, tmp_path):
    stores = {
        "a|b<script>": {},
        "kept": {
            "promoted": False,
            "reason": "worse by 9 %",
            "champion_version": "4",
            "champion_accuracy": {"wape": 0.1},
        },
        "poor": {"promoted": False, "fallback": "too little history", "model": False},
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
