import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.train.worker import train_store_job
from foreact.errors import ForeactError
from foreact.forecasting import Forecast, Panel, StoreModel, train_store
from foreact.forecasting.experts.conformance import check_expert
from foreact.forecasting.experts.installed import find_expert, load_expert, parse_experts
from tests.components.train.small import make_dataset, make_jobs
from tests.foreact.forecasting.panels import make_panel
from tests.installing import install_expert

# A steady forecast of what an item sold on average; what a test breaks stands in its place.
SOURCE = """
import numpy as np

class Expert:
    def explain_skip(self, reading):
        {skip}

    def fit(self, reading, seed):
        {fit}
        return Fit()

    def load(self, saved):
        {load}
        return Fit()

class Fit:
    def forecast(self, reading):
        panel = reading.panel
        usual = np.nan_to_num(panel.units[:, :panel.days]).mean(1)
        mean = np.repeat(usual[:, None], panel.horizon, axis=1)
        {forecast}
        return mean

    def save(self):
        return b"{{}}"
"""


def write_source(**broken: str) -> str:
    return SOURCE.format(**{"skip": "return ''", "fit": "pass", "load": "pass", "forecast": "pass", **broken})


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    return tmp_path / "packages"


@pytest.fixture(scope="module")
def panel() -> Panel:
    return make_panel(items=3, days=150, events=False, price=False)


@pytest.fixture(scope="module")
def plain(panel: Panel) -> Forecast:
    return train_store(panel).forecast


def test_a_name_that_is_unknown_or_stands_for_several_is_refused(packages: Path) -> None:
    install_expert(packages, "steady", write_source())
    with pytest.raises(ForeactError, match=r"names 'steadi', which .* \(installed: steady\).*did you mean 'steady'\?$"):
        find_expert("steadi")
    install_expert(packages, "steady", write_source(), package="another")
    with pytest.raises(ForeactError, match=r"Several packages.*another 1\.0, steady 1\.0"):
        find_expert("steady")
    install_expert(packages, "chain", write_source(), package="third")
    with pytest.raises(ForeactError, match="needs another name"):
        find_expert("chain")


def test_names_are_read_once_each_and_not_without_end() -> None:
    assert parse_experts(" a, b,a,") == ("a", "b")
    with pytest.raises(ForeactError, match="at most 6"):
        parse_experts("a,b,c,d,e,f,g")


@pytest.mark.parametrize(
    ("name", "source", "why"),
    [
        ("unloadable", "import nowhere_to_be_found", "it cannot be loaded: ModuleNotFoundError"),
        ("incomplete", "class Expert: pass", "its class has no explain_skip and no fit and no load"),
        ("choosy", write_source(skip="return 'it is too small'"), "it is too small"),
        ("unfit", write_source(fit="1 / 0"), "its fit failed: ZeroDivisionError: division by zero"),
        ("unreadable", write_source(load="int(saved)"), "loading its fit failed: ValueError"),
        ("narrow", write_source(forecast="mean = mean[:, :1]"), "(3, 1), not (3, 14), items x horizon"),
        ("endless", write_source(forecast="mean[:] = np.inf"), "is not finite"),
        ("beyond", write_source(forecast="mean[:] = 1e30"), "beyond all sales"),
        ("leaving", write_source(fit="raise SystemExit(3)"), "its fit failed: SystemExit: 3"),
        ("writing", write_source(forecast="panel.units[:] = 0"), "its forecast failed: ValueError"),
        # Well at first, and ill where a window begins late.
        ("late", write_source(forecast="assert panel.days < 110"), "its forecast failed: AssertionError"),
    ],
)
def test_what_is_broken_is_left_out_and_changes_no_number(
    packages: Path, panel: Panel, plain: Forecast, name: str, source: str, why: str
) -> None:
    install_expert(packages, name, source)
    result = train_store(panel, experts=[name])
    assert why in result.left_out[name]
    assert result.model.installed == {}
    assert name not in result.model.weights.experts
    np.testing.assert_array_equal(result.forecast.mean, plain.mean)


def test_a_saved_model_asks_the_expert_again_and_is_judged_with_it(
    packages: Path, panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Sales without a week favour it.
    units = np.where(np.isnan(panel.units), np.nan, np.random.default_rng(1).poisson(20, panel.units.shape))
    panel = replace(panel, units=units.astype(np.float32), known={})
    install_expert(packages, "constant", write_source())
    result = train_store(panel, experts=["constant"])
    assert result.model.weights.list_shares()["constant"] > 0.1
    result.model.save(tmp_path / "model")
    assert (tmp_path / "model" / "experts.constant.bin").read_bytes() == b"{}"
    loaded = StoreModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(panel).mean, result.model.predict(panel).mean)
    kept = train_store(panel, champion=loaded, margin=-1.0)
    assert kept.decision.champion_accuracy == result.decision.accuracy
    # What is no longer installed has no say.
    monkeypatch.undo()
    lost = StoreModel.load(tmp_path / "model")
    assert "constant" not in lost.weights.experts
    assert lost.weights.totals.sum() == pytest.approx(1)
    assert np.isfinite(lost.predict(panel).mean).all()


def test_without_a_backtest_it_has_no_say(packages: Path) -> None:
    install_expert(packages, "unproven", write_source())
    short = make_panel(items=3, days=20, events=False, price=False)
    assert "unproven" not in train_store(short, experts=["unproven"]).model.weights.experts


def test_a_worker_finds_it_by_its_name(packages: Path, tmp_path: Path) -> None:
    install_expert(packages, "steady", write_source())
    (job,) = make_jobs(make_dataset(tmp_path / "data", stores=1)).values()
    sent = pickle.loads(pickle.dumps(replace(job, experts=("steady",))))
    assert "steady" in train_store_job(sent, None).record.experts


@pytest.mark.parametrize(
    ("name", "source", "found"),
    [
        ("sound", write_source(), ""),
        ("negative", write_source(forecast="mean = mean - 1000"), "finite and not negative: .*daily: .* are negative"),
        ("fickle", write_source(forecast="mean = mean + np.random.random()"), "same twice: .*daily: a second fit"),
        ("forgetful", write_source(load="return Other()") + "class Other(Fit):\n    forecast = lambda self, reading: "
         "Fit.forecast(self, reading) + 1", "when saved and loaded: daily: the fit read back"),
        ("seer", write_source(forecast="mean = mean + np.nansum(panel.units[:, panel.days:])"),
         "nothing after the origin: daily: with later units"),
        ("careless", write_source(forecast="panel.units[:] = 0"), "ValueError: assignment destination is read-only"),
        ("rigid", write_source(fit="Fit.items = len(reading.panel.items)",
                               forecast="mean = mean[:self.items]"), "other items than those of the fit: daily"),
    ],
)  # fmt: skip
def test_the_checks_find_what_each_is_for(packages: Path, name: str, source: str, found: str) -> None:
    install_expert(packages, name, source)
    findings = [
        f"{each.check}: {each.store}: {each.problem}" for each in check_expert(load_expert(name)) if each.problem
    ]
    assert bool(findings) == bool(found), findings
    assert re.search(found, "\n".join(findings)), findings
