import pytest

from foreact.forecasting import Panel, StoreResult, train_store
from tests.foreact.forecasting.panels import make_panel


@pytest.fixture(scope="session")
def panel() -> Panel:
    return make_panel(items=80, days=560)


@pytest.fixture(scope="session")
def result(panel: Panel) -> StoreResult:
    return train_store(panel, seed=3)
