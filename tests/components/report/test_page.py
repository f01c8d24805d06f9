"""The first page of a run."""

from pathlib import Path

import pytest

from components.report.page import write_overview
from foreact.blobs.folder import FolderStore
from foreact.publications import Reader
from foreact.runs.ledger import RunLedger
from tests.serving import shop


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def run(runs: RunLedger, name: str, wape: float, version: int) -> None:
    runs.note_step_started(name, "train", "retrain-all")
    runs.add_figures(name, "train", {"wape": wape, "weekday_mean_wape": 0.875, "promoted": 2, "held": 1})
    runs.note_step_ended(name, "train", "succeeded", 7.0)
    runs.note_step_started(name, "publish")
    runs.add_figures(name, "publish", {"version": version, "stores_published": 2})
    runs.note_step_ended(name, "publish", "succeeded", 1.0)
    runs.note_end(name, "succeeded", pipeline="retrain-all")


def write(store: FolderStore, name: str) -> str:
    history = RunLedger(store).read_history()
    record = history.find_run(name)
    assert record is not None
    return write_overview(record, history.find_previous(record), Reader(store), {"Dashboard": "https://shop.example"})


def test_it_tells_what_was_published_beside_last_time_and_the_worst_store(store: FolderStore) -> None:
    runs = RunLedger(store)
    run(runs, "before", 0.375, 1)
    shop.publish(store, run="now")
    run(runs, "now", 0.25, 2)
    page = write(store, "now")
    assert "It succeeded: 2 stores published as version 2." in page
    assert "<td class=text>WAPE by item and date</td><td>0.25</td><td>0.375</td>" in page.replace('"', "")
    assert ">0.875<" in page
    assert "<td class=text>stores held back</td><td>1</td><td>1</td>" in page.replace('"', "")
    assert 'href="https://shop.example"' in page
    assert page.count("The store that fares worst: ") == page.count("<svg") == 1


def test_a_promotion_says_who_chose_what_and_why(store: FolderStore) -> None:
    run(RunLedger(store), "now", 0.25, 2)
    RunLedger(store).note_parameters("now", {"version": "3", "by": "anna", "reason": "Fridays & <b>"})
    assert "Promotion of version 3 by anna: Fridays &amp; &lt;b&gt;" in write(store, "now")


def test_a_failure_says_where_and_why_and_nothing_in_it_is_markup(store: FolderStore) -> None:
    runs = RunLedger(store)
    runs.note_step_started("now", "validate", "retrain-store", "<b>")
    runs.note_step_ended("now", "validate", "failed", 1.0, "<script> is no number.")
    runs.note_end("now", "failed", pipeline="retrain-store")
    page = write(store, "now")
    assert "It failed in step Validate: &lt;script&gt; is no number. What was published stays as it was." in page
    assert "<b>" not in page
    assert "<svg" not in page


def test_a_publication_that_cannot_be_read_leaves_the_rest(store: FolderStore) -> None:
    run(RunLedger(store), "now", 0.25, 2)
    assert "Steps" in write(store, "now")
