"""Notices of a run's end, told to a real receiver."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from components.report.step import STOPPED, report
from foreact.blobs.folder import FolderStore
from foreact.errors import ForeactError
from foreact.runs.ends import KILLED
from foreact.runs.ledger import RunLedger
from foreact.settings import PipelineSettings
from foreact.telemetry.notices import clean_sentence
from tests.observability.receiver import Receiver, receive


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receive() as receiver:
        yield receiver


def end(tmp_path: Path, url: str, run: str, state: str, message: str | None = None, **settings: Any) -> str:
    place = PipelineSettings(
        workspace=tmp_path, webhook_url=SecretStr(url), run_url="https://kfp.example/#/runs/details/{run}", **settings
    )
    return report(
        pipeline="retrain-store",
        store="Bonn",
        state=state,
        run=run,
        failed_task="train",
        message=message,
        settings=place,
        blobs=FolderStore(tmp_path / "blobs"),
        pause=0.01,
    )


def test_a_failure_and_the_recovery_are_told_once_each(tmp_path: Path, receiver: Receiver) -> None:
    blobs = FolderStore(tmp_path / "blobs")
    RunLedger(blobs).note_step_started("r1", "validate", "retrain-store", "Bonn")
    RunLedger(blobs).note_step_ended("r1", "validate", "failed", 1.0, "312 rows are negative")
    for _ in range(3):
        end(tmp_path, receiver.url, "r1", "FAILED", "the task failed")
    end(tmp_path, receiver.url, "r2", "SUCCEEDED")
    end(tmp_path, receiver.url, "r2", "SUCCEEDED")
    end(tmp_path, receiver.url, "r3", "SUCCEEDED")
    told = [json.loads(data) for _, _, data in receiver.received]
    assert [(one["event"], one["run"]) for one in told] == [("failed", "r1"), ("recovered", "r2")]
    assert told[0] == {
        "event": "failed",
        "pipeline": "retrain-store",
        "store": "Bonn",
        "run": "r1",
        "step": "validate",
        "sentence": "312 rows are negative",
        "link": "https://kfp.example/#/runs/details/r1",
        "title": "retrain-store of store Bonn failed",
    }


def test_a_first_success_is_no_news(tmp_path: Path, receiver: Receiver) -> None:
    end(tmp_path, receiver.url, "r1", "SUCCEEDED")
    assert receiver.received == []


def test_a_receiver_that_stumbles_is_told_again_with_the_same_key(tmp_path: Path, receiver: Receiver) -> None:
    receiver.statuses = [503, 500]
    end(tmp_path, receiver.url, "r1", "FAILED", "it broke")
    assert len(receiver.received) == 3
    assert {headers["Idempotency-Key"] for _, headers, _ in receiver.received} == {"r1-failed"}


def test_a_receiver_that_refuses_is_asked_once_a_try(tmp_path: Path, receiver: Receiver) -> None:
    receiver.statuses = [403, 404]
    for asked in (1, 2):
        end(tmp_path, receiver.url, "r1", "FAILED", "it broke")
        assert len(receiver.received) == asked


def test_what_nobody_took_is_told_when_the_step_is_tried_again(
    tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [500] * 4
    with caplog.at_level(logging.INFO):
        end(tmp_path, f"{receiver.url}/hook?sig=SECRET", "r1", "FAILED", "it broke")
        end(tmp_path, f"{receiver.url}/hook?sig=SECRET", "r1", "FAILED", "it broke")
    assert len(receiver.received) == 5
    assert "SECRET" not in caplog.text


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/hook", "hooks.example/no-scheme", "http://"])
def test_nobody_listening_fails_no_run(tmp_path: Path, url: str) -> None:
    assert "It failed: it broke." in end(tmp_path, url, "r1", "FAILED", "it broke")


def test_a_secret_that_nobody_has_given_yet_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREACT_WEBHOOK_URL", " ")
    assert not PipelineSettings().webhook_url.get_secret_value()


def test_teams_takes_an_adaptive_card(tmp_path: Path, receiver: Receiver) -> None:
    end(tmp_path, receiver.url, "r1", "FAILED", "it broke", webhook_form="teams")
    [attachment] = json.loads(receiver.received[0][2])["attachments"]
    card = attachment["content"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert card["body"][0]["text"] == "retrain-store of store Bonn failed"
    assert card["body"][0]["color"] == "attention"
    assert {"title": "Why", "value": "it broke"} in card["body"][1]["facts"]
    assert card["actions"][0]["url"].endswith("/r1")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Traceback (most recent call last):\n  File x\nValueError: too few rows", "ValueError: too few rows"),
        ("\x1b[31mbad\x1b[0m\nmore", "bad"),
        ("GET https://user:pw@host/p?sig=abc%3D&x=1 failed", "GET https://***host/p?sig=***&x=1 failed"),
        ("DefaultEndpointsProtocol=https;AccountKey=abc123==;X=1", "DefaultEndpointsProtocol=https;AccountKey=***;X=1"),
        ("Authorization: Bearer abc.def.ghi refused", "Authorization: *** refused"),
    ],
)
def test_a_sentence_holds_neither_traceback_nor_secret(text: str, cleaned: str) -> None:
    assert clean_sentence(text) == cleaned


@pytest.mark.parametrize(
    ("state", "last", "sentence"),
    [
        ("RUNNING", "succeeded", ""),
        ("", "succeeded", ""),
        ("RUNNING", "running", STOPPED),
        ("COMPLETE", "running", ""),
        # Taken away after its work was done: the numbers are published.
        ("FAILED", "succeeded", ""),
        ("FAILED", "running", KILLED),
    ],
)
def test_a_group_that_still_counts_as_running_is_judged_by_its_last_step(
    tmp_path: Path, receiver: Receiver, state: str, last: str, sentence: str
) -> None:
    runs = RunLedger(FolderStore(tmp_path / "blobs"))
    runs.note_step_started("r1", "publish", "retrain-store", "Bonn")
    if last == "succeeded":
        runs.note_step_ended("r1", "publish", "succeeded", 1.0)
    end(tmp_path, receiver.url, "r1", state)
    told = [json.loads(data) for _, _, data in receiver.received]
    assert [(one["event"], one["sentence"]) for one in told] == ([("failed", sentence)] if sentence else [])
    assert [one["step"] for one in told] == (["publish" if last == "running" else "train"] if sentence else [])
    record = runs.read_history().find_run("r1")
    assert record is not None
    assert (record.state, record.sentence) == ("failed" if sentence else "succeeded", sentence)


def test_what_nobody_knows_is_not_told(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: Any) -> None:
        raise ForeactError("the store is away")

    monkeypatch.setattr(RunLedger, "read_history", away)
    with caplog.at_level(logging.WARNING):
        end(tmp_path, receiver.url, "r1", "RUNNING")
    assert receiver.received == []
    assert "how the run ended is not known" in caplog.text
