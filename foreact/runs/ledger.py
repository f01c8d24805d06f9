"""The record of the latest runs: one bounded object in the blob store, written by the steps and read by the service.

telemetry/runs.json   the latest runs, changed by compare-and-swap
"""

import logging
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from foreact.blobs.protocol import Blob, BlobStore
from foreact.blobs.records import EACH_ALONE, StoredRecord, parse_or_skip
from foreact.blobs.swap import read_if_present, swap_object
from foreact.errors import ForeactError
from foreact.steps import STEPS

log = logging.getLogger(__name__)

RUNS = "telemetry/runs.json"
KEPT_RUNS = 60
MOST_FIGURES = 40
# No pipeline may take longer; a run that has not reported its end by then never will.
LONGEST_RUN = timedelta(hours=5)

State = Literal["running", "succeeded", "failed"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class StepRecord(_Record):
    """One step of a run: its state, how long it took, and its figures."""

    state: State
    started_at: datetime
    seconds: float | None = None
    figures: dict[str, float] = Field(default_factory=dict)
    sentence: str = ""

    @property
    def ended_at(self) -> datetime | None:
        """Return when it ended; None while it runs."""
        return None if self.seconds is None else self.started_at + timedelta(seconds=self.seconds)


class RunRecord(_Record):
    """One run of a pipeline."""

    id: str
    pipeline: str = ""
    # The one store that was retrained; empty for all.
    store: str = ""
    state: State = "running"
    # The planner's request that it serves, if there is one, and that request's trace.
    request_id: str = ""
    traceparent: str = ""
    # What data it read and how, and what it publishes.
    parameters: dict[str, Any] = Field(default_factory=dict)
    started_at: datetime
    ended_at: datetime | None = None
    sentence: str = ""
    steps: dict[str, StepRecord] = Field(default_factory=dict)

    @property
    def has_published(self) -> bool:
        """Whether its last step, publish, ended well."""
        return "publish" in self.steps and self.steps["publish"].state == "succeeded"

    @property
    def failed_step(self) -> str:
        """Name the step that failed; empty if none reported a failure."""
        return next((name for name, step in self.steps.items() if step.state == "failed"), "")

    @property
    def failed_step_sentence(self) -> str:
        """Return the sentence of the step that failed; empty if none gave a reason."""
        return next((step.sentence for step in self.steps.values() if step.sentence), "")

    @property
    def running_step(self) -> str:
        """Name the step that is at work, or was when the run was killed; empty if there is none."""
        return next((name for name, step in self.steps.items() if step.state == "running"), "")

    @property
    def last_event_at(self) -> datetime:
        """Return the time of the last event it reported."""
        steps = (step.started_at + timedelta(seconds=step.seconds or 0) for step in self.steps.values())
        return max([self.started_at, *steps])

    def get_figure(self, step: str, name: str) -> float | None:
        """Return one figure of a step, if the step reported it."""
        return self.steps[step].figures.get(name) if step in self.steps else None


class RunHistory(StoredRecord):
    """The latest runs, the oldest first, and when each pipeline last succeeded and by which parameters."""

    kind: ClassVar[str] = "run"

    runs: tuple[Annotated[RunRecord, EACH_ALONE], ...] = ()
    last_success: dict[str, Annotated[datetime, EACH_ALONE]] = Field(default_factory=dict)
    # The parameters of that run.
    last_parameters: dict[str, Annotated[dict[str, Any], EACH_ALONE]] = Field(default_factory=dict)

    def find_run(self, run: str) -> RunRecord | None:
        """Return the run with this id, if it is recorded."""
        return next((each for each in self.runs if each.id == run), None)

    def list_ended(self, pipeline: str) -> list[RunRecord]:
        """Return a pipeline's runs that ended, the latest first."""
        runs = [run for run in self.runs if run.pipeline == pipeline and run.ended_at is not None]
        return sorted(runs, key=lambda run: run.ended_at or run.started_at, reverse=True)

    def list_overdue(self, now: datetime) -> list[RunRecord]:
        """Return the runs that have no end although they started longer ago than any run may take."""
        return [run for run in self.runs if run.state == "running" and now - run.started_at > LONGEST_RUN]

    def has_succeeded_since(self, run: RunRecord) -> bool:
        """Return whether a run of the same pipeline and store has succeeded since the last event of this one."""
        latest = self.find_previous(run)
        return (
            latest is not None
            and latest.state == "succeeded"
            and (latest.ended_at or run.last_event_at) > run.last_event_at
        )

    def find_previous(self, run: RunRecord) -> RunRecord | None:
        """Return the other run of the same pipeline and store that ended last."""
        others = (each for each in self.list_ended(run.pipeline) if each.store == run.store and each.id != run.id)
        return next(others, None)

    def find_success_before(self, run: RunRecord) -> RunRecord | None:
        """Return the run of the same pipeline and store that ended well last before this one began."""
        others = (
            each
            for each in self.list_ended(run.pipeline)
            if each.state == "succeeded" and each.store == run.store and each.last_event_at < run.started_at
        )
        return next(others, None)


class RunLedger:
    """Reads and changes the ledger."""

    def __init__(self, store: BlobStore, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._clock = clock

    def read_history(self) -> RunHistory:
        """Return the recorded runs; what cannot be read counts as not there, what is newer raises NewerRecord."""
        blob = read_if_present(self._store, RUNS)
        return parse_history(blob.data) if blob else RunHistory()

    def note_request(self, run: str, pipeline: str, store: str, request_id: str, traceparent: str) -> None:
        """Note whose request a run serves, for the caller that starts it."""
        requested = {"pipeline": pipeline, "store": store, "request_id": request_id, "traceparent": traceparent}
        self._change_run(run, lambda record: record.model_copy(update=requested))

    def note_step_started(self, run: str, step: str, pipeline: str = "", store: str = "") -> None:
        """Note that a step started; the first one starts the run, and one after the run's end starts it again.

        Kubeflow's Retry goes on with the tasks that failed, under the same id; what an earlier try did in this step
        and in later ones says nothing of this try.
        """
        now = self._clock()

        def change(record: RunRecord) -> RunRecord:
            if record.ended_at is not None:
                again = {"state": "running", "started_at": now, "ended_at": None, "sentence": ""}
                record = record.model_copy(update=again)
            earlier = list(STEPS)[: list(STEPS).index(step)] if step in STEPS else list(record.steps)
            steps = {name: record.steps[name] for name in earlier if name in record.steps}
            steps[step] = StepRecord(state="running", started_at=now)
            update = {"steps": steps, "pipeline": pipeline or record.pipeline, "store": store or record.store}
            return record.model_copy(update=update)

        self._change_run(run, change)

    def note_step_ended(self, run: str, step: str, state: State, seconds: float, sentence: str = "") -> None:
        """Note how a step ended."""

        def change(record: RunRecord) -> RunRecord:
            step_record = record.steps.get(step) or StepRecord(state=state, started_at=self._clock())
            ended = step_record.model_copy(
                update={"state": state, "seconds": round(seconds, 3), "sentence": sentence[:500]}
            )
            return record.model_copy(update={"steps": {**record.steps, step: ended}})

        self._change_run(run, change)

    def note_parameters(self, run: str, parameters: dict[str, Any]) -> None:
        """Note parameters that a run works with, beside those noted before."""
        self._change_run(
            run, lambda record: record.model_copy(update={"parameters": {**record.parameters, **parameters}})
        )

    def add_figures(self, run: str, step: str, figures: dict[str, float]) -> None:
        """Note a step's figures: at most MOST_FIGURES of them, and only finite numbers."""
        finite = {name: float(value) for name, value in sorted(figures.items()) if math.isfinite(value)}
        finite = dict(list(finite.items())[:MOST_FIGURES])

        def change(record: RunRecord) -> RunRecord:
            step_record = record.steps.get(step) or StepRecord(state="running", started_at=self._clock())
            step_record = step_record.model_copy(update={"figures": {**step_record.figures, **finite}})
            return record.model_copy(update={"steps": {**record.steps, step: step_record}})

        self._change_run(run, change)

    def note_end(
        self, run: str, state: State, *, pipeline: str, store: str = "", sentence: str = "", at: datetime | None = None
    ) -> RunRecord:
        """Note how a run ended, and when if not just now; the first report counts, unless a success follows a failure.

        Who reports a failure may only have lost sight of the run.
        """
        now = at or self._clock()

        def change(record: RunRecord) -> RunRecord:
            identity = {"pipeline": pipeline or record.pipeline, "store": store or record.store}
            is_mended = state == "succeeded" and record.state == "failed"
            if record.ended_at is not None and not is_mended:
                return record.model_copy(update=identity)
            reason = "" if state == "succeeded" else sentence or record.failed_step_sentence
            ended = {"state": state, "ended_at": now, "sentence": reason[:500]}
            return record.model_copy(update={**identity, **ended})

        return self._change_run(run, change)

    def _change_run(self, run: str, change: Callable[[RunRecord], RunRecord]) -> RunRecord:
        changed = RunRecord(id=run, started_at=self._clock())

        def replace_run(blob: Blob | None) -> bytes | None:
            nonlocal changed
            history = parse_history(blob.data) if blob else RunHistory()
            before = history.find_run(run)
            changed = change(before or RunRecord(id=run, started_at=self._clock()))
            return None if changed == before else self._replace_run(history, changed).model_dump_json().encode()

        swap_object(self._store, RUNS, replace_run)
        return changed

    def _replace_run(self, ledger: RunHistory, changed: RunRecord) -> RunHistory:
        every = sorted(
            [*(run for run in ledger.runs if run.id != changed.id), changed],
            # A run without an end is kept longer than those that ended: it may be stuck, which has to be reported.
            key=lambda run: (run.state == "running", run.started_at),
        )
        # The last ended run of each pipeline stays too, so that many refreshes do not displace the nightly run.
        last = {run.pipeline: run for run in every if run.state != "running"}
        retained = {run.id: run for run in [*last.values(), *every[-KEPT_RUNS:]]}
        runs = sorted(retained.values(), key=lambda run: run.started_at)
        success, parameters = dict(ledger.last_success), dict(ledger.last_parameters)
        if changed.state == "succeeded" and changed.ended_at is not None and changed.pipeline:
            success[changed.pipeline] = max(changed.ended_at, success.get(changed.pipeline, changed.ended_at))
            if success[changed.pipeline] == changed.ended_at and changed.parameters.get("history"):
                parameters[changed.pipeline] = changed.parameters
        return RunHistory(runs=tuple(runs), last_success=success, last_parameters=parameters)


def parse_history(data: bytes) -> RunHistory:
    """Read a ledger's bytes; a damaged one is started again, empty, so that the record never stops a run."""
    return parse_or_skip(RunHistory, data, RUNS) or RunHistory()


def make_record_sink(
    runs: RunLedger, run: str, pipeline: str = "", store: str = ""
) -> Callable[[str, dict[str, Any]], None]:
    """Return a function that writes a run's events into its record; errors are logged and never stop a step."""

    def record_event(event: str, fields: dict[str, Any]) -> None:
        step = str(fields.get("step", ""))
        if not step or step == "run":
            return
        try:
            if event == "step" and fields["state"] == "started":
                runs.note_step_started(run, step, pipeline, store)
            elif event == "step":
                runs.note_step_ended(run, step, fields["state"], fields["seconds"], fields.get("sentence", ""))
            elif event == "parameters":
                runs.note_parameters(run, fields["parameters"])
            elif event == "figures":
                runs.add_figures(run, step, fields["figures"])
        except (ForeactError, OSError) as problem:
            log.warning("the run's record was not written: %s", problem)

    return record_event
