"""When schedules fire, held against the library that Kubeflow Pipelines' scheduler uses."""

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from foreact.errors import ForeactError
from pipelines.cluster.cron import Cron

# What github.com/robfig/cron v1.2.0 answered: expression, zone, moment, the next three firings.
FIRINGS = json.loads(Path(__file__).with_name("firings.json").read_text())


def test_fires_when_the_scheduler_does() -> None:
    assert len(FIRINGS) == 350
    for row in FIRINGS:
        cron = Cron.parse(row["Cron"], ZoneInfo(row["Zone"]))
        moment, firings = datetime.fromisoformat(row["From"]), []
        for _ in row["Next"]:
            moment = cron.next_firing(moment)
            firings.append(f"{moment:%Y-%m-%dT%H:%M:%SZ}")
        assert firings == row["Next"], row


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("30 3 * * *", "has 5 fields; it takes six, seconds first"),
        ("TZ=Europe/Berlin 0 30 3 * * *", "has 7 fields"),
        ("0 61 3 * * *", "'61' is not within 0 to 59"),
        ("0 0 3 * * mo", "'mo' is not a number"),
        ("0 0 */0 * * *", "'\\*/0' needs a step of at least 1"),
        ("0 0 , * * *", "a field is empty"),
    ],
)
def test_says_what_cannot_be_read(expression: str, sentence: str) -> None:
    with pytest.raises(ForeactError, match=sentence):
        Cron.parse(expression, ZoneInfo("UTC"))


def test_says_what_never_fires() -> None:
    with pytest.raises(ForeactError, match="never fires"):
        Cron.parse("0 0 3 31 2 *", ZoneInfo("UTC")).next_firing(datetime(2026, 1, 1, tzinfo=UTC))
