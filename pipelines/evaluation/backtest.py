"""The accuracy of the forecaster on a history, by a backtest that registers and publishes nothing."""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

from components.ingest.step import ingest
from components.train.live import find_live_chain, make_version_finder
from components.train.step import train
from foreact.blobs import BlobPlace, open_url
from foreact.errors import ForeactError
from foreact.forecasting.judging.accuracy import mean_accuracy
from foreact.runs.events import Events
from foreact.runs.process import machine_size
from foreact.runs.trained import Trained
from foreact.settings import PipelineSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """The figures of every store, and the page that draws them."""

    trained: Trained
    figures: dict[str, float]
    report: Path
    # The registered version that was judged too; empty: none.
    version: str = ""

    def list_rows(self) -> list[dict[str, float | str]]:
        """Return one row for each forecaster, ours and the baselines, averaged over stores."""
        ours = mean_accuracy([store.challenger_accuracy for store in self.trained.stores.values()])
        forecasters = {"foreact": ours}
        if self.version:
            live = [store.champion_accuracy for store in self.trained.stores.values()]
            forecasters[f"version {self.version}"] = mean_accuracy(live)
        forecasters |= {str(name): each for name, each in self.trained.average_baselines().items()}
        rows: list[dict[str, float | str]] = []
        for name, accuracy in forecasters.items():
            figures = accuracy.to_figures()
            measured = {figure: figures.get(figure, float("nan")) for figure in ("scaled_error", "wape", "bias")}
            rows.append({"forecaster": name, **measured})
        return rows


def backtest_history(
    *,
    history: str,
    known: list[str],
    columns: str,
    country: str,
    as_of: str,
    spacing: str,
    horizon: int,
    missing: str,
    stockouts: str,
    store: str,
    version: str,
    seed: int,
    experts: str,
    scratch: Path,
    settings: PipelineSettings,
    events: Events,
) -> Evaluation:
    """Ingest a history and backtest it; nothing is published."""
    # Workers on other machines read it from object storage.
    place = BlobPlace.read(settings) if settings.ray_address else BlobPlace(scratch)
    ingested = ingest(
        history=history,
        known=known,
        columns=columns,
        country=country,
        as_of=as_of,
        spacing=spacing,
        horizon=horizon,
        missing=missing,
        stockouts=stockouts,
        store=store,
        place=place,
        open_url=partial(open_url, settings=settings),
        events=events,
    )
    report = scratch / "backtest.html"
    figures = train(
        run=f"backtest-{uuid4()}",
        data=ingested.dataset,
        trained=scratch / "trained",
        report=report,
        find_live=make_version_finder(settings, version) if version else lambda stores, as_of: {},
        # A registered version is judged beside the chain's live model, as a refresh would.
        find_chain=partial(find_live_chain, settings) if version else None,
        margin=0.0,
        seed=seed,
        quantiles="",
        experts=experts,
        max_fallback_share=0.0,
        events=events,
        ray_address=settings.ray_address,
        size=machine_size(),
    )
    trained = Trained.read(scratch / "trained")
    for record in trained.stores.values():
        if record.champion_problem:
            raise ForeactError(record.champion_problem)
    return Evaluation(trained, figures, report, version)
