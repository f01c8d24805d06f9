"""The whole flow, from files to published forecasts, by the command line."""

import csv
import os
import signal
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from foreact.blobs import connect
from foreact.blobs.folder import FolderStore
from foreact.publications import Reader
from foreact.publications.contract import Manifest
from foreact.runs.defaults import QUANTILES
from foreact.runs.ledger import RunLedger as Ledger
from foreact.runs.workspace import WorkspaceRuns
from foreact.settings import PlaceSettings
from serving.audit import AuditLog
from serving.publication import PublicationCache
from tests.commands.conftest import Chain, Foreact, command, halt_at
from tests.serving.publication.counting import Counting
from tests.waiting import until


def reader(workspace: Path) -> Reader:
    return Reader(connect(PlaceSettings(workspace=workspace)))


def manifest(workspace: Path) -> Manifest:
    return reader(workspace).read_current().manifest


@pytest.mark.ray
@pytest.mark.slow
class TestRetraining:
    """One after the other: each begins where the one before has ended."""

    def test_a_first_run_publishes_every_store(self, three_stores: Chain, foreact: Foreact, tmp_path: Path) -> None:
        out = tmp_path / "forecasts.csv"
        done = foreact("export", "--out", str(out), "--workspace", str(three_stores.workspace))
        assert done.returncode == 0, done.stderr
        rows = list(csv.DictReader(out.read_text().splitlines()))
        assert list(rows[0]) == ["store", "item", "date", "mean", *QUANTILES.split(",")]
        assert {row["store"] for row in rows} == set(three_stores.stores)
        assert (min(row["date"] for row in rows), max(row["date"] for row in rows)) == ("2026-03-31", "2026-04-27")
        assert all(0 <= float(row["p10"]) <= float(row["p50"]) <= float(row["p90"]) for row in rows)

        # What refreshes of one store take where they are not told otherwise.
        blobs = connect(PlaceSettings(workspace=three_stores.workspace))
        night = Ledger(blobs).read_history().last_parameters["retrain-all"]
        assert [str(night["history"]), *night["known"]] == [part for part in three_stores.inputs if "/" in part]
        totals = tmp_path / "totals.parquet"
        done = foreact("export", "--totals", "--out", str(totals), "--workspace", str(three_stores.workspace))
        assert done.returncode == 0, done.stderr

    def test_workers_left_outlines_that_a_service_goes_by(self, three_stores: Chain, tmp_path: Path) -> None:
        counting = Counting(three_stores.workspace / "blobs")
        cache = PublicationCache(counting, memory_bytes=1, state=FolderStore(tmp_path))
        assert cache.refresh()
        assert cache.current is not None
        assert set(cache.current.stores) == set(three_stores.stores)
        assert len(counting.reads) == 3
        assert all(name.endswith(".outline.arrow") for name in counting.reads)

    def test_the_run_page_has_every_report(self, three_stores: Chain) -> None:
        run = next(iter(WorkspaceRuns(three_stores.workspace).list_runs()))
        artifacts = {path.parent.name + "/" + path.name for path in run.folder.rglob("*") if path.is_file()}
        for page in ("ingest/data", "validate/data_checks", "train/backtest", "register/gate", "publish/published"):
            assert page in artifacts
        assert {path.name for path in run.reports.iterdir()} == {
            *("ingest.md", "validate.html", "train.html", "register.md", "publish.md", "report.html")
        }
        backtest = (run.reports / "train.html").read_text()
        assert backtest.count("<svg") >= 4
        assert "http" not in backtest.replace("http://www.w3.org", "")

    def test_one_store_changes_alone(self, three_stores: Chain, foreact: Foreact) -> None:
        before = manifest(three_stores.workspace)
        store = three_stores.stores[1]
        # Without --history: what the last retrain-all was given.
        done = foreact("run", "retrain-store", "--store", store, "--workspace", str(three_stores.workspace))
        assert done.returncode == 0, done.stderr
        after = manifest(three_stores.workspace)
        assert after.version == before.version + 1
        assert {s: e for s, e in after.stores.items() if s != store} == {
            s: e for s, e in before.stores.items() if s != store
        }
        assert after.stores[store].run != before.stores[store].run

    def test_a_registered_version_is_evaluated_beside_a_new_one(self, three_stores: Chain, foreact: Foreact) -> None:
        store = three_stores.stores[1]
        version = str(manifest(three_stores.workspace).stores[store].model.version)
        arguments = ("evaluate", *three_stores.inputs, "--store", store, "--workspace", str(three_stores.workspace))
        done = foreact(*arguments, "--version", version)
        assert done.returncode == 0, done.stderr
        rows = {cells[1].strip(): cells for line in done.stdout.splitlines() if len(cells := line.split("│")) > 4}
        assert rows[f"version {version}"][2:5] == rows["foreact"][2:5] != rows["weekday_mean"][2:5]
        done = foreact(*arguments, "--version", "999")
        assert done.returncode == 1
        assert "has no version '999'" in done.stderr

    def test_a_chosen_version_goes_live_for_its_store_alone(self, three_stores: Chain, foreact: Foreact) -> None:
        place, store = ("--workspace", str(three_stores.workspace)), three_stores.stores[1]
        before = manifest(three_stores.workspace)
        done = foreact("promote", store, "1", "--reason", "a drill", "--force", *place)
        assert done.returncode == 0, done.stderr
        after = manifest(three_stores.workspace)
        assert (before.stores[store].model.version, after.stores[store].model.version) == ("2", "1")
        assert after.reason == f"version 1 of {store} promoted: a drill"
        assert {**after.stores, store: None} == {**before.stores, store: None}
        blobs = connect(PlaceSettings(workspace=three_stores.workspace))
        today = datetime.now(UTC).date()
        (event,) = AuditLog(blobs).read_events(today - timedelta(days=1), today)
        assert (event.subject, event.account) == (f"{store} version 1", f"cli:{after.created_by}")

    def test_a_day_later_the_gate_decides_and_what_was_published_is_scored(
        self, three_stores: Chain, foreact: Foreact
    ) -> None:
        before = manifest(three_stores.workspace)
        done = foreact("run", "retrain-all", *three_stores.inputs, "--workspace", str(three_stores.workspace))
        assert done.returncode == 0, done.stderr
        after = manifest(three_stores.workspace)
        assert after.version == before.version + 1
        assert {entry.as_of for entry in after.stores.values()} == {date(2026, 3, 31)}
        scores = reader(three_stores.workspace).read_table(after.stores[three_stores.stores[0]].objects["scorecard"])
        assert set(scores["published_as_of"].to_pylist()) == {date(2026, 3, 30)}
        assert set(scores["lead"].to_pylist()) == {0, 1}
        runs = {entry.run for entry in after.stores.values()}
        assert runs == {list(WorkspaceRuns(three_stores.workspace).list_runs())[-1].id}
        versions = {s: (before.stores[s].model.version, e.model.version) for s, e in after.stores.items()}
        assert all(new is not None and int(new) > int(old or 0) for old, new in versions.values())

    def test_an_old_version_comes_back_and_is_shown(self, three_stores: Chain, foreact: Foreact) -> None:
        place = ("--workspace", str(three_stores.workspace))
        latest = manifest(three_stores.workspace).version
        done = foreact("publications", "restore", "1", "--reason", "a drill", *place)
        assert done.returncode == 0, done.stderr
        now = manifest(three_stores.workspace)
        assert (now.version, now.restored, now.reason) == (latest + 1, 1, "a drill")
        assert now.stores == reader(three_stores.workspace).read_version(1).stores
        listed = foreact("publications", "list", *place).stdout
        assert len(listed.splitlines()) == now.version
        assert "a drill" in listed
        shown = foreact("publications", "show", "2", *place)
        assert three_stores.stores[1] in shown.stdout

    def test_an_unknown_store_is_told_and_changes_nothing(self, three_stores: Chain, foreact: Foreact) -> None:
        before = manifest(three_stores.workspace)
        name = three_stores.stores[0][:-1]
        done = foreact("run", "retrain-store", "--store", name, "--workspace", str(three_stores.workspace))
        assert done.returncode == 1
        assert repr(name) in done.stderr.splitlines()[-1]
        assert three_stores.stores[0] in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
        assert manifest(three_stores.workspace) == before


def reach_validate(runs: Path, known: set[Path]) -> Path:
    """Return the folder of the run that is not known, once it validates."""
    (folder,) = until(lambda: set(runs.iterdir()) - known)
    events = folder / "events.jsonl"
    until(lambda: events.exists() and '"step": "validate", "state": "started"' in events.read_text())
    return folder


def processes_of(folder: Path) -> list[int]:
    """Return the processes that were started for a run's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(folder).encode() in (process / part).read_bytes() for part in ("cmdline", "environ")):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def read_command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.fixture
def never_valid(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment in which no run gets beyond its validation, the only step that needs that part."""
    return halt_at("great_expectations", tmp_path_factory.mktemp("halt"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_leaves_the_last_publication_and_no_process(
    one_store: Chain, tmp_path: Path, never_valid: dict[str, str], number: signal.Signals
) -> None:
    before = manifest(one_store.workspace)
    runs = one_store.workspace / "runs"
    known = set(runs.iterdir())
    process = subprocess.Popen(
        command("run", "retrain-all", *one_store.inputs, "--workspace", str(one_store.workspace)),
        stderr=subprocess.PIPE,
        text=True,
        env={**never_valid, "TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    folder = reach_validate(runs, known)
    os.kill(process.pid, number)
    _, told = process.communicate()
    assert process.returncode == (130 if number != signal.SIGKILL else -number)
    if number != signal.SIGKILL:
        assert "Stopped; what was published stays as it was." in told
        assert "Traceback" not in told
    until(lambda: processes_of(folder) == [])
    until(lambda: list(tmp_path.iterdir()) == [])
    assert manifest(one_store.workspace) == before
    record = Ledger(connect(PlaceSettings(workspace=one_store.workspace))).read_history().find_run(folder.name)
    assert record is not None
    assert (record.state, record.sentence) == ("failed", "the run was stopped")


@pytest.mark.slow
def test_a_run_that_is_killed_behind_the_command_is_told_and_leaves_no_process(
    one_store: Chain, tmp_path: Path, never_valid: dict[str, str]
) -> None:
    runs = one_store.workspace / "runs"
    known = set(runs.iterdir())
    arguments = ("run", "retrain-all", *one_store.inputs, "--workspace", str(one_store.workspace))
    place = {**never_valid, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True, env=place)
    folder = reach_validate(runs, known)
    [behind] = [pid for pid in processes_of(folder) if b"pipelines.local" in read_command(pid)]
    os.kill(behind, signal.SIGKILL)
    _, told = process.communicate()
    assert process.returncode == 1
    assert "The run ended unexpectedly in step validate" in told
    until(lambda: processes_of(folder) == [])
    record = Ledger(connect(PlaceSettings(workspace=one_store.workspace))).read_history().find_run(folder.name)
    assert record is not None
    assert (record.state, record.sentence) == ("failed", "the run ended unexpectedly")


@pytest.mark.slow
def test_a_command_killed_with_the_run_behind_it_leaves_no_step(
    one_store: Chain, tmp_path: Path, never_valid: dict[str, str]
) -> None:
    runs = one_store.workspace / "runs"
    known = set(runs.iterdir())
    arguments = ("run", "retrain-all", *one_store.inputs, "--workspace", str(one_store.workspace))
    place = {**never_valid, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(command(*arguments), stderr=subprocess.DEVNULL, env=place)
    folder = reach_validate(runs, known)
    step = [pid for pid in processes_of(folder) if b"kfp.dsl.executor_main" in read_command(pid)]
    assert step
    for pid in [process.pid, *(pid for pid in processes_of(folder) if b"pipelines.local" in read_command(pid))]:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    until(lambda: processes_of(folder) == [])


@pytest.mark.slow
def test_two_runs_at_once_both_succeed_and_leave_no_temporary_file(one_store: Chain, tmp_path: Path) -> None:
    before = manifest(one_store.workspace)
    both = [
        subprocess.Popen(
            command("run", "retrain-all", *one_store.inputs, "--workspace", str(one_store.workspace)),
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        for _ in range(2)
    ]
    for process in both:
        _, told = process.communicate()
        assert process.returncode == 0, told
    assert manifest(one_store.workspace).version == before.version + 2
    assert list(tmp_path.iterdir()) == []
