"""The example of docs/experts.md, installed as the page says and used."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from components.train.live import LiveChain
from components.train.step import train
from foreact.forecasting import StoreModel
from foreact.packing import unpack_folder
from foreact.publications import Reader
from foreact.runs.events import Events
from foreact.runs.process import TaskSize
from foreact.runs.trained import Trained
from tests.installing import install_expert
from tests.shops import days, take_in, write_rows

PAGE = (Path(__file__).parents[2] / "docs/experts.md").read_text()


def read_block(language: str) -> str:
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return block


@pytest.fixture
def installed(tmp_path: Path) -> tuple[Path, str]:
    """Return the folder that the example is installed in, and its name."""
    ((name, target),) = tomllib.loads(read_block("toml"))["project"]["entry-points"]["foreact.experts"].items()
    module, cls = target.split(":")
    assert module == name.replace("-", "_")
    return install_expert(tmp_path / "packages", name, read_block("python"), cls), name


def test_the_example_is_short_and_passes_every_check(installed: tuple[Path, str]) -> None:
    folder, name = installed
    assert len([line for line in read_block("python").splitlines() if line.strip()]) < 50
    listed, checked = (
        subprocess.run(
            [sys.executable, "-m", "commands", "experts", *arguments],
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for arguments in ((), ("check", name))
    )
    assert f"{name}     fortnight 1.0  The same day of the last fortnights." in listed
    assert checked.count("ok    ") == 6
    assert "skip  short history: it has 30 days, and needs 210" in checked
    assert "FAIL" not in checked


def test_it_has_its_share_where_every_other_week_is_alike(
    installed: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, name = installed
    random = np.random.default_rng(1)
    levels = np.tile(random.uniform(5, 100, 14), 25)
    rows = [
        (day, "S", item, random.poisson(level))
        for day, level in zip(days(350), levels, strict=True)
        for item in ("a", "b")
    ]
    data = take_in(tmp_path, write_rows(tmp_path / "sales.csv", rows))
    monkeypatch.syspath_prepend(str(folder))
    train(
        run="r",
        data=data,
        trained=tmp_path / "trained",
        report=tmp_path / "report.html",
        find_live=lambda stores, as_of: {},
        find_chain=LiveChain,
        margin=0.02,
        seed=0,
        quantiles="p5",
        experts=name,
        max_fallback_share=0.0,
        events=Events(tmp_path / "events"),
        size=TaskSize.parse("1", "4Gi"),
    )
    record = Trained.read(tmp_path / "trained").stores["S"]
    assert record.shares[name] > 0.1
    assert min(record.experts, key=lambda each: record.experts[each].scaled_error) == name
    assert name in (tmp_path / "report.html").read_text()
    model = tmp_path / "model"
    assert record.challenger is not None
    unpack_folder(Reader(data.place.connect()).read_object(record.challenger), model)
    assert StoreModel.load(model).installed.keys() == {name}
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(folder)])
    without = StoreModel.load(model)
    assert name not in without.weights.experts
    assert without.weights.totals.sum() == pytest.approx(1.0)
