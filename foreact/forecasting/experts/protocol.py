"""What an installed expert is: a class that fits a store's history and forecasts its items."""

from typing import Protocol

from foreact.forecasting.experts.simple import Simple
from foreact.forecasting.inputs.arrays import Doubles
from foreact.forecasting.reading import PanelReading

STORE, CHAIN = "store", "chain"
# No installed expert may have one of these names.
BUILT_IN = (STORE, CHAIN, *Simple)


class ExpertFit(Protocol):
    """A fitted expert."""

    def forecast(self, reading: PanelReading) -> Doubles:
        """Return items x horizon: the mean units of every item on every day ahead.

        The reading may be of later days and of other items than those of the fit.
        """

    def save(self) -> bytes:
        """Return the fit as bytes that `Expert.load` reads; nothing in them is executed."""


class Expert(Protocol):
    """A way to forecast a store."""

    def explain_skip(self, reading: PanelReading) -> str:
        """Return why this store cannot be forecast this way, such as too short a history; empty where it can."""

    def fit(self, reading: PanelReading, seed: int) -> ExpertFit:
        """Fit on the days of history that the reading holds."""

    def load(self, saved: bytes) -> ExpertFit:
        """Return the fit that was saved."""
