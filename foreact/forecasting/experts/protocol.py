"""What an expert is: a way to forecast a store's items, built in or brought by an installed package."""

from typing import Protocol

from foreact.forecasting.experts.simple import Simple
from foreact.forecasting.inputs.arrays import Doubles
from foreact.forecasting.reading import PanelReading

STORE, CHAIN = "store", "chain"
# No installed expert may have one of these names.
BUILT_IN = (STORE, CHAIN, *Simple)


class Forecaster(Protocol):
    """What is ready to forecast a store: every expert of a pool."""

    def forecast(self, reading: PanelReading) -> Doubles:
        """Return items x horizon: the mean units of every item on every day ahead.

        The reading may be of later days and of other items than those of the fit.
        """


class ExpertFit(Forecaster, Protocol):
    """A fitted expert of an installed package, which a store's model keeps."""

    def save(self) -> bytes:
        """Return the fit as bytes that `Expert.load` reads; nothing in them is executed."""


class Expert(Protocol):
    """An expert that an installed package brings."""

    def explain_skip(self, reading: PanelReading) -> str:
        """Return why this store cannot be forecast this way, such as too short a history; empty where it can."""

    def fit(self, reading: PanelReading, seed: int) -> ExpertFit:
        """Fit on the days of history that the reading holds."""

    def load(self, saved: bytes) -> ExpertFit:
        """Return the fit that was saved."""
