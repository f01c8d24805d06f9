"""The chain's model: learns from all stores, is the same on any number of cores, and loads without executing."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foreact.errors import ForeactError
from foreact.forecasting import ChainModel, Panel, train_store
from foreact.forecasting.experts.chain import fit_chain
from foreact.forecasting.training import count_held_back, draw_chain_rows, weigh_experts
from tests.foreact.forecasting.panels import make_panel


def fit(panels: list[Panel]) -> ChainModel:
    held_back = max(count_held_back(panel.days, panel.horizon, panel.spacing) for panel in panels)
    drawn = [draw_chain_rows(panel, 4_000, place, held_back) for place, panel in enumerate(panels)]
    final = fit_chain([rows for rows, _ in drawn if rows is not None], 1)
    assert final is not None
    return ChainModel(
        as_of=panels[0].dates[panels[0].days - 1],
        horizon=panels[0].horizon,
        spacing=panels[0].spacing,
        stores=len(panels),
        rows=1,
        final=final,
        earlier=fit_chain([rows for _, rows in drawn if rows is not None], 1),
    )


def make_panels() -> list[Panel]:
    return [replace(make_panel(items=6, days=300, seed=seed), store=f"s{seed}") for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def panels() -> list[Panel]:
    return make_panels()


@pytest.fixture(scope="module")
def chain(panels: list[Panel]) -> ChainModel:
    return fit(panels)


def test_more_threads_make_the_same_trees(panels: list[Panel], chain: ChainModel) -> None:
    script = (
        "import hashlib\n"
        "from tests.foreact.forecasting.experts.test_chain import fit, make_panels\n"
        "print(hashlib.sha256(fit(make_panels()).final.text.encode()).hexdigest())"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "4"}
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == hashlib.sha256(chain.final.text.encode()).hexdigest()


def test_a_saved_model_is_the_same_and_a_broken_one_is_refused(chain: ChainModel, tmp_path: Path) -> None:
    chain.save(tmp_path)
    assert ChainModel.load(tmp_path) == chain
    assert {file.suffix for file in tmp_path.iterdir()} == {".json"}
    (tmp_path / "final.json").unlink()
    with pytest.raises(ForeactError, match="no complete model of the chain"):
        ChainModel.load(tmp_path)


def test_a_store_that_it_never_saw_learns_from_the_others(chain: ChainModel) -> None:
    """Seven weeks are too short to learn what a price cut brings, so others must tell."""
    whole = make_panel(items=6, days=300, seed=9)
    young = replace(
        whole,
        dates=whole.dates[250:],
        days=50,
        units=whole.units[:, 250:],
        known={name: values[..., 250:] for name, values in whole.known.items()},
    )
    forecast = train_store(young, chain=chain).forecast
    assert np.isfinite(forecast.mean).all()
    assert train_store(young, chain=chain).model is not None


def test_its_backtest_weighs_all_experts(panels: list[Panel], chain: ChainModel) -> None:
    evidence = weigh_experts(panels[0], chain, 0)
    assert evidence is not None
    assert set(evidence.experts) == {"store", "chain", "weekday_mean", "smoothing"}
    model = train_store(panels[1], chain=replace(chain, evidence={"s1": evidence})).model
    assert model is not None
    assert model.weights.list_shares()["chain"] > 0
