"""The second way to a fresh morning: forecast anew, without training, what no run has published in time.

It needs the sales and the blob store: no Kubeflow, no Ray, no MLflow. Who runs it again does no harm.
"""

import tempfile
from datetime import date, datetime
from pathlib import Path

from components.ingest.component import ingest
from components.publish.step import publish
from components.register.step import list_versions
from components.train.holding import make_published_finder
from components.train.live import find_published_chain, make_published_model_finder
from components.train.step import train
from components.validate.component import validate
from foreact.blobs import BlobPlace
from foreact.context import RunContext
from foreact.data.dataset.stored import Dataset
from foreact.errors import ForeactError, count_noun, name_examples
from foreact.publications import Reader
from foreact.publications.freshness import Promise, judge_freshness
from foreact.runs import defaults
from foreact.runs.process import configure_task, machine_size
from foreact.runs.trained import Trained
from foreact.settings import PipelineSettings, PlaceSettings
from foreact.spacing import Spacing
from foreact.steps import STEPS
from pipelines.one_pod.execution import StepsHere, complete_parameters


def list_due(settings: PlaceSettings, promise: Promise, now: datetime) -> dict[str, datetime]:
    """Return the stores that are not fresh for the deadline that can be kept, and when that is where they are."""
    publication = Reader.connect(settings).find_current()
    if publication is None:
        raise ForeactError("Nothing is published yet, so there is no model to forecast by: run retrain-all first.")
    entries = sorted(publication.manifest.stores.items())
    deadlines = {store: promise.for_store(entry).reachable_deadline(now) for store, entry in entries}
    return {
        store: deadlines[store]
        for store, entry in entries
        if not judge_freshness(entry, promise, max(now, deadlines[store])).is_fresh
    }


def reforecast(promise: Promise, begun: datetime) -> list[str]:
    """Publish the stores that are due, forecast from the newest sales by the models published last; return them."""
    settings, events = configure_task()
    due = list_due(settings, promise, begun)
    if not due:
        return []
    deadline = min(due.values())
    parameters = complete_parameters({**defaults.LEFT_OUT, "store": ""})
    with tempfile.TemporaryDirectory() as scratch:
        steps = StepsHere(Path(scratch))
        data = _take_in(steps, parameters, int(parameters["horizon"]))
        usual = data.info.horizon
        late = _count_missing(data.info.as_of, data.info.spacing, promise, deadline)
        if late:
            data = _take_in(steps, parameters, usual + late)
        why = f"was not trained anew, because no run had published it for {deadline:%Y-%m-%d %H:%M}"
        if late:
            periods = count_noun(late, data.info.spacing.period)
            why += f"; its sales end on {data.info.as_of}, so that it looks {periods} further ahead than usual"
        gone = sorted(due.keys() - set(data.stores))
        if gone:
            events.note("train", f"warning: the sales have no {name_examples(gone)} any more: they stay as they are")
        stores = [store for store in due if store in data.stores]
        if not stores:
            return []
        run, trained = RunContext.read().run, Path(scratch, "trained")
        train(
            run=run,
            data=data,
            trained=trained,
            report=Path(scratch, "report.html"),
            find_live=make_published_model_finder(settings),
            find_published=make_published_finder(settings),
            find_chain=lambda: find_published_chain(settings),
            quantiles=parameters["quantiles"],
            size=machine_size(),
            events=events,
            only=stores,
            instead=why,
            # Nothing is trained, so nothing is judged.
            margin=defaults.MARGIN,
            seed=defaults.SEED,
            max_fallback_share=1.0,
        )
        versions = Path(scratch, "versions.json")
        list_versions(Trained.read(trained), run).write(versions)
        code = RunContext.read().code_version
        done = publish(
            trained=trained, versions=versions, settings=settings, code_version=code, events=events, unless_since=begun
        )
        return done.outcome.published


def _take_in(steps: StepsHere, parameters: dict[str, object], horizon: int) -> Dataset:
    def pick(*names: str) -> dict[str, object]:
        return {name: parameters[name] for name in names}

    ingested = steps(
        STEPS["ingest"],
        ingest,
        as_of="",
        full=False,
        horizon=horizon,
        cpu=defaults.STEP_CPU,
        memory=defaults.STEP_MEMORY,
        **pick("history", "known", "columns", "country", "spacing", "missing", "stockouts", "store"),
    )
    dataset = ingested.outputs["dataset"]
    validated = steps(STEPS["validate"], validate, dataset=dataset, **pick("max_rejected_share", "store"))
    return Dataset.open(Path(validated.outputs["checked"].path).read_text(), BlobPlace.read(PipelineSettings()))


def _count_missing(as_of: date, spacing: Spacing, promise: Promise, deadline: datetime) -> int:
    """Return how many periods of sales are missing that the deadline allows nobody to be without."""
    expected = promise.business_day_before(deadline.date(), 1 + promise.slack)
    missing, following = 0, spacing.next_period(as_of)
    while spacing.last_day(following) <= expected:
        missing, following = missing + 1, spacing.next_period(following)
    return missing
