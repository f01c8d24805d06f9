"""The validate step: sound data passes untouched."""

from datetime import date
from pathlib import Path

from components.validate.step import validate
from foreact.data.dataset.folder import Dataset
from foreact.demo import write_demo
from foreact.runs import defaults
from foreact.runs.events import Events
from tests.shops import TODAY, take_in


def test_sound_data_is_linked_not_copied(tmp_path: Path) -> None:
    demo = write_demo(tmp_path / "demo", date(2025, 3, 31), 7, days=60, stores=3, items=5)
    source = take_in(tmp_path, demo.history, *demo.known)
    outcome = validate(
        max_rejected_share=defaults.MAX_REJECTED_SHARE,
        dataset=source.path,
        checked=tmp_path / "checked",
        rejected=tmp_path / "rejected.csv",
        events=Events(tmp_path / "events"),
        today=TODAY,
    )
    assert outcome.problem == ""
    checked = Dataset(tmp_path / "checked")
    assert checked.info == source.info
    for store in source.stores:
        assert checked.store_path(store).samefile(source.store_path(store))
        assert checked.pack_store(store) == source.pack_store(store)
    assert outcome.metrics["rejected_rows"] == 0
    assert "every rule is kept" in outcome.page
