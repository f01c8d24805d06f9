"""The made-up chain as a dataset, made once."""

from datetime import date
from pathlib import Path

import pytest

from foreact.data.dataset.stored import Dataset
from foreact.demo import Demo, write_demo
from tests.shops import take_in


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Return the files of a small chain."""
    return write_demo(tmp_path_factory.mktemp("demo"), date(2025, 3, 31), 14, days=200, stores=4, items=20)


@pytest.fixture(scope="session")
def demo_dataset(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Return its dataset; nobody may change it."""
    folder: Path = tmp_path_factory.mktemp("dataset")
    return take_in(folder, demo.history, *demo.known, horizon=14)
