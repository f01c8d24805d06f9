"""Stored records: the schema is compared first, one that cannot be read is passed over and counted once."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from pydantic import Field

from foreact.blobs.folder import FolderStore
from foreact.blobs.records import (
    EACH_ALONE,
    REMEMBERED_SECONDS,
    BadRecord,
    NewerRecord,
    SkippedRecords,
    StoredRecord,
    parse_or_skip,
    parse_record,
)
from foreact.runs.ledger import RUNS, RunLedger
from foreact.runs.workspace import Request, WorkspaceRuns


class Note(StoredRecord):
    kind: ClassVar[str] = "note"
    id: str
    count: int


class Notes(StoredRecord):
    kind: ClassVar[str] = "note"
    notes: list[Annotated[Note, EACH_ALONE]] = Field(default_factory=list)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "a/b.json is empty."),
        (b" \n", "a/b.json is empty."),
        (b'{"notes": [', "a/b.json is not JSON."),
        (b"\xff\xfe", "a/b.json is not JSON."),
        (b"[" * 100_000, "a/b.json is not JSON."),
        (b"[]", "a/b.json cannot be read (Input should be an object)."),
        (b'{"schema_version": "new"}', "a/b.json cannot be read (schema_version: "),
        (b'{"notes": "secret"}', "a/b.json cannot be read (notes: Input should be a valid array)."),
    ],
)
def test_what_is_wrong_is_a_sentence_without_values(data: bytes, sentence: str) -> None:
    with pytest.raises(BadRecord) as error:
        parse_record(Notes, data, "a/b.json")
    assert str(error.value).startswith(sentence)
    assert "secret" not in str(error.value)


def test_the_schema_is_compared_before_anything_else() -> None:
    for data in (b'{"schema_version": 2}', b'{"notes": 7, "schema_version": 2}'):
        with pytest.raises(NewerRecord, match=r"a/b\.json has schema version 2 and this software knows 1: update it"):
            parse_record(Notes, data, "a/b.json")
    assert parse_record(Notes, b"{}", "a/b.json").schema_version == 1


def test_one_bad_entry_takes_nothing_from_the_others() -> None:
    kept: list[object] = []
    data = b'{"notes": [{"id": "a", "count": 1}, {"id": "b"}, "", {"id": "c", "count": 2, "schema_version": 2}]}'
    assert [note.id for note in parse_record(Notes, data, "a/b.json", kept.append).notes] == ["a"]
    assert kept == [{"id": "b"}, "", {"id": "c", "count": 2, "schema_version": 2}]


def test_what_is_passed_over_is_told_once_an_hour_and_counted_by_kind(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    skipped = SkippedRecords(lambda: now[0])
    for problem in ("x is empty.", "x is empty.", "y is empty."):
        skipped.note("note", problem)
    assert skipped.count() == {"note": 2}
    assert caplog.messages == ["passed over: x is empty.", "passed over: y is empty."]
    now[0] = REMEMBERED_SECONDS + 1
    assert skipped.count() == {}
    skipped.note("note", "x is empty.")
    assert len(caplog.messages) == 3


def test_a_newer_ledger_is_never_rewritten_and_a_bad_run_takes_nothing_from_the_others(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    runs = RunLedger(store, lambda: datetime(2026, 3, 2, tzinfo=UTC))
    newer = b'{"schema_version":2,"runs":[]}'
    store.write(RUNS, newer)
    with pytest.raises(NewerRecord, match=f"{RUNS} has schema version 2"):
        runs.note_end("r1", "succeeded", pipeline="retrain-all")
    assert store.read(RUNS).data == newer
    # As it was written before there were schema versions.
    old = '{"id":"r0","pipeline":"retrain-all","started_at":"2026-03-01T00:00:00Z","state":"%s"}'
    store.write(RUNS, f'{{"runs":[{old % "succeeded"},{old % "unheard-of"},null],"last_success":{{"a":""}}}}'.encode())
    runs.note_end("r1", "succeeded", pipeline="retrain-all")
    assert [run.id for run in runs.read_history().runs] == ["r0", "r1"]
    for damaged in (b"", b'{"runs":[{"id'):
        store.write(RUNS, damaged)
        assert runs.read_history().runs == ()


def test_the_last_request_is_read_or_told(tmp_path: Path) -> None:
    runs = WorkspaceRuns(tmp_path)
    runs.folder.mkdir()
    last = runs.folder / "last.json"
    assert runs.read_last_request() is None
    last.write_text('{"pipeline": "retrain-all", "parameters": {"history": "x.csv"}}')
    assert runs.read_last_request() == Request(pipeline="retrain-all", parameters={"history": "x.csv"})
    last.write_text("")
    assert runs.read_last_request() is None
    last.write_text('{"schema_version": 2}')
    with pytest.raises(NewerRecord, match="schema version 2"):
        runs.remember_request(Request(pipeline="retrain-all"))
    assert last.read_text() == '{"schema_version": 2}'


def test_a_torn_event_hides_none_of_the_others(tmp_path: Path) -> None:
    run = WorkspaceRuns(tmp_path).create_run(Request(pipeline="retrain-all"))
    good = b'{"event":"step","at":1.0,"step":"ingest","state":"started"}\n'
    run.events.write_bytes(good + b'{"event":"st{"event":"step"}\n\xff\n[]\n{"at":1}\n' + good)
    assert [event["step"] for event in run.read_events()[0]] == ["ingest", "ingest"]


def test_a_newer_record_that_is_never_replaced_is_passed_over() -> None:
    assert parse_or_skip(Notes, b'{"schema_version": 2}', "a/b.json", skip_newer=True) is None
