"""What training leaves behind for register and publish: what was decided, and which objects the workers wrote."""

import io
import math
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import mean
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from foreact.blobs.records import StoredRecord, parse_record
from foreact.data.dataset.parcel import ParcelInfo
from foreact.errors import ForeactError
from foreact.forecasting.experts.simple import Simple
from foreact.forecasting.judging.accuracy import Accuracy, Contribution, mean_accuracy
from foreact.forecasting.judging.gate import GateOutcome
from foreact.packing import pack_model
from foreact.publications.contract import Kind, PublishedObject
from foreact.spacing import Spacing

# How a store's data were read, in the pack of the model that learnt from them.
READING = "reading.json"
# The figures of the backtest that a run averages over its stores.
RUN_FIGURES = ("wape", "bias", "scaled_error", "coverage", "above_p90", "total_coverage")
# The figures of past publications, measured on the sales since, that it averages too.
LIVE_FIGURES = ("wape", "bias", "coverage", "beats_naive")


class TrainedStore(BaseModel):
    """One store's decision and figures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: str
    items: int
    data_hash: str
    outcome: GateOutcome
    reason: str
    # The run that trained the champion, or the registered version that somebody promoted, and its version, where that
    # made the numbers; without a version the registry has yet to be told of it.
    champion_run: str = ""
    champion_version: str | None = None
    # Why the champion could not be used, so that the challenger was judged without it; empty if it could.
    champion_problem: str = ""
    # Why the numbers must not be published; empty if they may.
    held: str = ""
    # What makes the numbers instead, and why; None unless the outcome is a fallback.
    fallback: str | None = None
    # The backtest of what made the published numbers, of the challenger, of the champion and of the baselines.
    accuracy: Accuracy = Field(default_factory=Accuracy)
    challenger_accuracy: Accuracy = Field(default_factory=Accuracy)
    champion_accuracy: Accuracy = Field(default_factory=Accuracy)
    baselines: dict[Simple, Accuracy] = Field(default_factory=dict)
    # What each expert brought to the challenger, and the experts' shares of the published totals.
    experts: dict[str, Contribution] = Field(default_factory=dict)
    shares: dict[str, float] = Field(default_factory=dict)
    # Why installed experts have no say in the challenger, by name.
    left_out: dict[str, str] = Field(default_factory=dict)
    scorecard: dict[str, float] = Field(default_factory=dict)
    attributes: dict[str, str] = Field(default_factory=dict)
    # What is to be published of it, and the packed model that made the numbers; None: a baseline did.
    objects: dict[Kind, PublishedObject] = Field(default_factory=dict)
    model: PublishedObject | None = None
    # The packed new model, which the registry is told of whether it goes live or not; None: none could be trained.
    challenger: PublishedObject | None = None

    @property
    def goes_live(self) -> bool:
        """Whether the challenger becomes the live model."""
        return self.outcome is GateOutcome.PROMOTED and not self.held

    @property
    def naive_wape(self) -> float | None:
        """The WAPE of seasonal naive, which planners compare the others with."""
        return self.baselines.get(Simple.SEASONAL_NAIVE, Accuracy()).wape

    @property
    def live_figures(self) -> dict[str, float]:
        """How past publications did on the sales since, as far as that was measured."""
        return {
            f"live_{name}": self.scorecard[name]
            for name in LIVE_FIGURES
            if math.isfinite(self.scorecard.get(name, math.nan))
        }

    @property
    def scored_figures(self) -> dict[str, float]:
        """The figures of the scorecard beside the WAPE that the backtest promised."""
        return {**self.scorecard, "promised": self.accuracy.wape or 0.0}

    @property
    def published_figures(self) -> dict[str, float]:
        """The accuracy as it is published, with seasonal naive's WAPE."""
        figures = self.accuracy.to_figures()
        return figures if self.naive_wape is None else {**figures, "naive_wape": self.naive_wape}


class Promotion(BaseModel):
    """A registered version that somebody wants published in place of what would be trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    reason: str
    by: str = ""
    # Whether it is published even if it loses at the gate.
    force: bool = False

    @classmethod
    def parse(cls, *, version: str, reason: str, by: str, force: bool) -> "Promotion | None":
        """Return what the pipeline's parameters say; without a version there is no promotion."""
        if not version:
            return None
        if not reason.strip():
            raise ForeactError(
                f"Version {version} is not promoted without a reason: say why, for those who come later."
            )
        return cls(version=version, reason=reason.strip(), by=by, force=force)


class TrainedChain(BaseModel):
    """The chain's model that had a say in all stores' numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: date
    stores: int
    rows: int
    # The run that fitted it, and its version; without a run it was this training.
    run: str = ""
    version: str | None = None
    packed: PublishedObject


class Trained(StoredRecord):
    """A training of one or all stores."""

    model_config = ConfigDict(extra="forbid")
    kind: ClassVar[str] = "training"

    as_of: date
    horizon: int
    spacing: Spacing = Spacing.DAILY
    source_version: str
    margin: float
    chain: TrainedChain | None = None
    # Somebody's choice of a version; None: models were trained.
    promotion: Promotion | None = None
    # The names of the quantiles that forecasts and totals have.
    quantiles: tuple[str, ...] = ()
    generated_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    stores: dict[str, TrainedStore]

    @classmethod
    def read(cls, path: Path) -> "Trained":
        """Read what `write` wrote."""
        return parse_record(cls, path.read_bytes(), "the training")

    def write(self, path: Path) -> None:
        """Write the record to a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=1), encoding="utf-8")

    @property
    def chain_goes_live(self) -> bool:
        """Whether the chain's model becomes the live one: not if it learnt from as many stores that are held back."""
        return 2 * sum(bool(store.held) for store in self.stores.values()) < max(1, len(self.stores))

    def count_outcomes(self) -> dict[str, float]:
        """Return how many stores there are, how many are held back, and how many of each outcome of the gate."""
        stores = self.stores.values()
        return {
            "stores": float(len(stores)),
            "held": float(sum(bool(store.held) for store in stores)),
            **{outcome.value: float(sum(store.outcome is outcome for store in stores)) for outcome in GateOutcome},
        }

    def average_figures(self) -> dict[str, float]:
        """Return counts and means over stores, without figures that could not be measured."""
        stores = self.stores.values()
        figures = self.count_outcomes()
        figures["unusable_champions"] = float(sum(bool(store.champion_problem) for store in stores))
        measured = mean_accuracy([store.accuracy for store in stores]).to_figures()
        figures |= {name: measured[name] for name in RUN_FIGURES if name in measured}
        simple = {f"{method}_wape": accuracy.wape for method, accuracy in self.average_baselines().items()}
        figures |= {name: wape for name, wape in simple.items() if wape is not None}
        live = [store.live_figures for store in stores]
        for name in dict.fromkeys(name for each in live for name in each):
            figures[name] = mean(each[name] for each in live if name in each)
        return figures

    def average_baselines(self) -> dict[Simple, Accuracy]:
        """Return the mean over stores of each simple method's figures."""
        return {
            method: mean_accuracy([store.baselines.get(method, Accuracy()) for store in self.stores.values()])
            for method in Simple
        }

    def list_models(self) -> list[PublishedObject]:
        """Return the packed models that the registry is told of."""
        chain = [] if self.chain is None or self.chain.run else [self.chain.packed]
        return [*chain, *(store.challenger for store in self.stores.values() if store.challenger is not None)]


def pack_trained(save: Callable[[Path], None], reading: ParcelInfo) -> bytes:
    """Return the files that `save` writes, and how the data were read, as one zip."""

    def save_both(folder: Path) -> None:
        save(folder)
        (folder / READING).write_text(reading.model_dump_json(), encoding="utf-8")

    return pack_model(save_both)


def unpack_reading(packed: bytes) -> ParcelInfo:
    """Return how the data of a packed model were read."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return ParcelInfo.model_validate_json(archive.read(READING))
