"""The validate step: sound data passes untouched."""

from datetime import date
from pathlib import Path

from components.validate.step import validate
from foreact.data.dataset.stored import REJECTED
from foreact.demo import write_demo
from foreact.runs import defaults
from foreact.runs.events import Events
from tests.shops import TODAY, take_in


def test_sound_data_is_handed_on_and_not_copied(tmp_path: Path) -> None:
    demo = write_demo(tmp_path / "demo", date(2025, 3, 31), 7, days=60, stores=3, items=5)
    source = take_in(tmp_path, demo.history, *demo.known)
    outcome = validate(
        max_rejected_share=defaults.MAX_REJECTED_SHARE,
        dataset=source,
        rejected=tmp_path / "rejected.csv",
        events=Events(tmp_path / "events"),
        today=TODAY,
    )
    assert outcome.problem == ""
    before, after = source.info, outcome.checked.info
    assert {name for name in before.parts if before.parts[name] != after.parts[name]} <= {REJECTED}
    assert after.model_copy(update={"parts": before.parts}) == before
    assert outcome.metrics["rejected_rows"] == 0
    assert "every rule is kept" in outcome.page
