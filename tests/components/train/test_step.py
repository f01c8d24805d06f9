"""What becomes of a store that cannot be trained."""

from pathlib import Path

import pytest

from components.train.live import LiveStore
from components.train.step import train
from foreact.data.dataset.stored import Dataset
from foreact.errors import ForeactError
from foreact.publications import put_object
from foreact.runs.events import Events
from foreact.runs.process import TaskSize
from foreact.runs.trained import Trained
from tests.components.train.small import make_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("data"), stores=1)


def run(data: Dataset, folder: Path, share: float) -> dict[str, float]:
    """Train with an earlier publication that is no table."""
    damaged = put_object(data.place.connect(), "forecasts/data/earlier/S0.zip", b"damaged")
    return train(
        run="r",
        data=data,
        trained=folder / "trained",
        report=folder / "report.html",
        find_live=lambda stores, as_of: {store: LiveStore(previous={as_of: damaged}) for store in stores},
        margin=0.02,
        seed=0,
        quantiles="p5",
        max_fallback_share=share,
        events=Events(folder / "events"),
        size=TaskSize.parse("1", "4Gi"),
    )


def test_it_is_forecast_by_the_baseline_and_every_output_says_so(data: Dataset, tmp_path: Path) -> None:
    figures = run(data, tmp_path, share=1.0)
    assert figures["fallback"] == 1
    assert "warning: 'S0' could not be trained" in (tmp_path / "events").read_text()
    fallback = Trained.read(tmp_path / "trained").stores["S0"].fallback
    assert fallback
    assert fallback.split(":")[0] in (tmp_path / "report.html").read_text()


def test_too_many_of_them_fail_the_run(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ForeactError, match=r"1 of 1 stores could not be trained, more than the 20% .*'S0'"):
        run(data, tmp_path, share=0.2)
    assert not (tmp_path / "trained").exists()
