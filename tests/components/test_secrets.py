"""No credential of a run is found in anything that the run leaves behind."""

import logging

import pytest
from azure.storage.blob import BlobServiceClient

from components.publish.step import publish
from components.register.step import register
from foreact.blobs import connect
from foreact.errors import ForeactError
from foreact.publications import Publisher, Reader
from foreact.publications.lineage import describe_version
from foreact.registry import Registry, model_name
from foreact.runs.events import Events
from foreact.runs.owed import RunOrigin
from foreact.settings import PipelineSettings
from tests.services import hold_port
from tests.trainings import write_training

PLANTED = ["planted-client-secret", "planted-webhook-token", "planted-tracking-password", "cGxhbnRlZA=="]


@pytest.mark.azurite
@pytest.mark.postgres
def test_a_run_leaves_no_credential_behind(azurite, mlflow_server, tmp_path, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", PLANTED[0])
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PLANTED[2])
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    place = azurite.settings()
    settings = PipelineSettings(
        workspace=tmp_path / "workspace",
        mlflow_uri=mlflow_server,
        webhook_url=f"https://hooks.example/{PLANTED[1]}",
        **place,
    )
    told = [repr(settings), str(settings)]
    events = Events(tmp_path / "events")
    for run in ("secret-run-1", "secret-run-2"):
        write_training(tmp_path / run, settings, run, {"secret-store": {}}, scale=len(run))
        versions = tmp_path / f"{run}.json"
        registered = register(
            trained=tmp_path / run, versions=versions, origin=RunOrigin(run=run), settings=settings, events=events
        )
        published = publish(trained=tmp_path / run, versions=versions, settings=settings, events=events)
        told += [registered.summary, published.summary]
    store = connect(settings)
    restored = (
        Publisher(store).restore(1, by="ada", reason="a test") if published.outcome.manifest.version > 1 else None
    )
    assert restored is not None
    told.append(describe_version(Reader(store), restored.version))

    # What goes wrong must not tell either.
    wrong = {**place, "blob_connection_string": place["blob_connection_string"].replace(azurite.key, PLANTED[3])}
    gone = {**settings.model_dump(), "mlflow_uri": f"http://127.0.0.1:{hold_port()}"}
    for attempt in (
        lambda: Reader(connect(PipelineSettings(**wrong))).read_current(),
        lambda: connect(PipelineSettings(**{**place, "blob_url": "https://acc.blob.core.windows.net/c"})),
        lambda: Registry.connect(PipelineSettings(**gone)),
    ):
        with pytest.raises(ForeactError) as caught:
            attempt()
        told.append(str(caught.value))
        told.append(repr(caught.value.__cause__))

    registry = Registry.connect(settings)
    found = registry.client.get_model_version_by_alias(model_name("secret-store"), "champion")
    told += [str(dict(found)), str(registry.client.get_run(found.run_id).to_dictionary())]
    with BlobServiceClient.from_connection_string(azurite.connection_string) as account:
        for container in account.list_containers():
            client = account.get_container_client(container["name"])
            told += [str(client.download_blob(name).readall()) for name in client.list_blob_names()]
    told += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    captured = capfd.readouterr()
    told += [captured.out, captured.err, caplog.text]
    for secret in [*PLANTED, azurite.key]:
        assert not [text[:200] for text in told if secret in text]
