"""The train step as Kubeflow Pipelines shows it."""

from kfp import dsl

from components.declaring import declare_component


@declare_component
def train(
    dataset: dsl.Input[dsl.Dataset],
    trained: dsl.Output[dsl.Artifact],
    backtest: dsl.Output[dsl.HTML],
    backtest_figures: dsl.Output[dsl.Metrics],
    margin: float,
    seed: int,
    quantiles: str,
    experts: str,
    max_fallback_share: float,
    accept_departures: bool,
    accept_losses: bool,
    version: str,
    reason: str,
    by: str,
    force: bool,
    cpu: str,
    memory: str,
    run: str,
    store: str,
) -> None:
    """Train one model a store on a rolling-origin backtest, decide by the gate which goes live, and forecast.

    Args:
        dataset: The name of the checked dataset's record in object storage.
        margin: How much worse than the champion a challenger may score and still go live, as a share.
        seed: Seed of everything drawn at random.
        quantiles: Which quantiles are published beside p10, p50 and p90, as in p5,p97.5.
        experts: Names of installed experts that forecast beside the built-in ones, as in fortnight,mine.
        max_fallback_share: The run fails when more than this share of the stores could not be trained.
        accept_departures: Whether numbers are published that depart from past sales and from the last publication
            beyond what is likely; if not, such stores keep the last good ones.
        accept_losses: Whether the run may go on without columns, attributes or known tables that live models and stores
            go by.
        version: A registered version that is judged and goes live in place of a newly trained model; empty: none.
        reason: Why that version.
        by: Who chose it.
        force: Whether it goes live even if it loses at the gate.
        cpu: How many cores the step has: that many stores are trained at once, unless a Ray cluster does the work.
        memory: How much memory the step has.
        run: The pipeline run's id, under which models and forecasts are written.
        store: The one store of this run; empty: all.

    Returns:
        trained: Every store's decision, and the names of its models and forecasts in object storage.
        backtest: Backtest report: forecast against actual, error by horizon, coverage, each store's decision.
        backtest_figures: The backtest's figures over all stores.
    """
    from functools import partial
    from pathlib import Path

    from components.train.holding import make_published_finder
    from components.train.live import find_live_chain, make_live_finder, make_version_finder, read_night
    from components.train.report.drift import read_earlier_series
    from components.train.step import train as step
    from foreact.blobs import BlobPlace
    from foreact.context import RunContext
    from foreact.data.dataset.stored import Dataset
    from foreact.runs.process import TaskSize, configure_task
    from foreact.runs.trained import Promotion

    settings, events = configure_task(store)
    promotion = Promotion.parse(version=version, reason=reason, by=by, force=force)
    figures = step(
        run=RunContext.read().run or run,
        data=Dataset.open(Path(dataset.path).read_text(encoding="utf-8"), BlobPlace.read(settings)),
        trained=Path(trained.path),
        report=Path(backtest.path),
        find_live=make_live_finder(settings),
        find_chain=partial(find_live_chain, settings) if store else None,
        margin=margin,
        seed=seed,
        quantiles=quantiles,
        experts=experts,
        max_fallback_share=max_fallback_share,
        find_published=None if accept_departures else make_published_finder(settings),
        events=events,
        ray_address=settings.ray_address,
        size=TaskSize.parse(cpu, memory),
        earlier=read_earlier_series(settings),
        night=read_night(settings),
        accept_losses=accept_losses,
        promotion=promotion,
        find_chosen=make_version_finder(settings, version) if promotion else None,
    )
    events.figures("train", figures)
    for name, value in figures.items():
        backtest_figures.log_metric(name, value)
