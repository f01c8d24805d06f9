"""What a run does when the chain's model cannot be fitted."""

from pathlib import Path

import pytest

from components.train.step import train
from foreact.forecasting.experts.protocol import CHAIN
from foreact.runs.events import Events
from foreact.runs.process import TaskSize
from foreact.runs.trained import Trained
from tests.components.train.small import make_dataset


def fail(*_: object) -> None:
    raise MemoryError


def test_stores_are_trained_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foreact.forecasting.experts.chain.fit_chain", fail)
    train(
        run="r",
        data=make_dataset(tmp_path / "data", stores=1),
        trained=tmp_path / "trained",
        report=tmp_path / "report.html",
        find_live=lambda stores, as_of: {},
        margin=0.02,
        seed=0,
        quantiles="p5",
        max_fallback_share=0.0,
        events=Events(tmp_path / "events"),
        size=TaskSize.parse("1", "4Gi"),
    )
    assert "without the chain's model, whose fit failed: out of memory" in (tmp_path / "events").read_text()
    record = Trained.read(tmp_path / "trained")
    assert record.chain is None
    assert CHAIN not in record.stores["S0"].shares
