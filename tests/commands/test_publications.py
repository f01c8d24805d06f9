"""Lists of publications on the command line."""

from datetime import UTC, datetime, timedelta

from click.testing import Result
from typer.testing import CliRunner

from commands.publications import publications_app
from foreact.blobs import connect
from foreact.errors import ForeactError
from foreact.publications import Publisher
from foreact.settings import PlaceSettings
from serving.audit import AuditLog
from serving.settings import ServingSettings
from tests.foreact.publications.stores import put


def test_from_a_model_version_to_its_publications(tmp_path):
    store = connect(PlaceSettings(workspace=tmp_path))
    today = datetime.now(UTC)
    Publisher(store, keep_versions=1, now=lambda: today - timedelta(days=2)).publish(
        {"a:b": put(store, "a:b", "r1", 1), "2": put(store, "2", "r1", 1)}, by="run r1"
    )
    publisher = Publisher(store, keep_versions=1, now=lambda: today)
    publisher.publish({"a:b": put(store, "a:b", "r2", 2, version="2")}, by="run r2")
    publisher.publish({"2": put(store, "2", "r3", 3, version="2")}, by="run r3")

    def listed(*more: str) -> list[str]:
        done = CliRunner().invoke(publications_app, ["list", "--workspace", str(tmp_path), *more])
        assert done.exit_code == 0, done.output
        return [line.split(":")[0] for line in done.output.splitlines()]

    assert listed() == ["Version 3", "Version 2"]
    assert listed("--model", "foreact-a:b:1") == ["Version 1"]
    assert listed("--model", "foreact-a:b:2") == ["Version 3", "Version 2"]
    shown = CliRunner().invoke(publications_app, ["show", "2", "--workspace", str(tmp_path)]).output
    assert "run r2, data as of 2024-03-31 (hash-a:b-2), 1 day ahead, code abc" in shown
    assert "backtest wape 2.000" in shown


def test_a_store_is_withdrawn_by_name(tmp_path):
    store = connect(PlaceSettings(workspace=tmp_path))
    Publisher(store).publish({name: put(store, name, "r1", 1) for name in ("Bonn", "Kiel")}, by="run r1")

    def withdraw(*arguments: str) -> Result:
        return CliRunner().invoke(publications_app, ["withdraw", *arguments, "--workspace", str(tmp_path)])

    refused = withdraw("Kielx")
    assert isinstance(refused.exception, ForeactError)
    assert str(refused.exception).startswith("Nothing is published of 'Kielx'; did you mean 'Kiel'?")
    done = withdraw("Kiel", "--reason", "closed")
    assert done.output == "Version 2 is current: it goes on without 'Kiel'.\n"
    day = datetime.now(UTC).date()
    audit = AuditLog(ServingSettings(workspace=tmp_path).connect_audit())
    [event] = audit.read_events(day - timedelta(days=1), day + timedelta(days=1))
    assert (event.action, event.subject) == ("withdraw", "Kiel")
