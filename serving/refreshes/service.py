"""Accepts requests for refreshes, starts those that wait, and finishes those that ended."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from statistics import median

from foreact.blobs.records import NewerRecord
from foreact.errors import ForeactError
from foreact.runs.ledger import RunLedger
from foreact.telemetry import tracing
from serving.errors import ApiError
from serving.metrics.service import Metrics
from serving.publication import PublicationCache
from serving.refreshes.records import Refresh, RefreshRecords, new_id
from serving.refreshes.runner import Progress, Runner

log = logging.getLogger("foreact.refreshes")
# A refresh that was claimed but not started, because its replica died, is started anew after this.
CLAIM = timedelta(seconds=60)
# For so long a refresh is not read again, so that many pages that follow it read no more often than one would.
FRESH_SECONDS = 0.3
# How many ended refreshes lists and pages show.
SHOWN = 100
# How many of the latest refreshes say how long one takes, and for how long that is not asked again.
ESTIMATED_FROM, ESTIMATE_SECONDS = 10, 10.0


class Refreshes:
    """All refreshes of the service, over records that every replica reads, and a runner."""

    def __init__(
        self,
        records: RefreshRecords,
        runner: Runner | None,
        cache: PublicationCache,
        metrics: Metrics,
        runs: RunLedger,
        report_end: Callable[..., object],
        clock: Callable[[], datetime],
        *,
        queue: int,
        minutes: float,
    ) -> None:
        self.records = records
        self.runner = runner
        self._publications = cache
        self._metrics = metrics
        self._runs = runs
        self._report_end = report_end
        self._clock = clock
        self._queue = queue
        self._limit = timedelta(minutes=minutes)
        self._advancing = threading.Lock()
        self._past: dict[str, Refresh] = {}
        self._recent: dict[str, tuple[float, Refresh]] = {}
        self._estimate: tuple[float, float | None] | None = None

    def request(self, store: str, account: str, request_id: str, traceparent: str = "") -> tuple[Refresh, bool]:
        """Request a refresh of a store; return it, and whether it was under way already."""
        problem = self.runner.check() if self.runner else "this installation runs no refreshes"
        if problem:
            raise ApiError(503, "refresh_unavailable", f"no refresh can run now: {problem}")
        now = self._clock()
        fresh = Refresh(
            id=new_id(now),
            store=store,
            state="queued",
            requested_at=now,
            requested_by=account,
            request_id=request_id,
            traceparent=traceparent,
        )

        def join_or_queue(active: list[Refresh]) -> list[Refresh]:
            if any(refresh.store == store for refresh in active):
                return active
            if sum(refresh.state == "queued" for refresh in active) >= self._queue:
                message = f"{self._queue} refreshes are waiting already; try again in a minute"
                raise ApiError(503, "refresh_queue_full", message, headers={"retry-after": "60"})
            return [*active, fresh]

        active = self.records.change_active(join_or_queue)
        found = next(refresh for refresh in active if refresh.store == store)
        return found, found.id != fresh.id

    def find_refresh(self, refresh_id: str) -> Refresh | None:
        """Return a refresh as it is now, live steps included."""
        at, known = self._recent.get(refresh_id, (0.0, None))
        if known is not None and (known.ended_at or time.monotonic() - at < FRESH_SECONDS):
            return known
        found = self._find_observed(refresh_id)
        if found is not None:
            if len(self._recent) > 1_000:
                self._recent.clear()
            self._recent[refresh_id] = (time.monotonic(), found)
        return found

    def _find_observed(self, refresh_id: str) -> Refresh | None:
        refresh = self.records.find_refresh(refresh_id)
        if refresh is None or refresh.state != "running" or self.runner is None:
            return refresh
        try:
            progress = self.runner.observe(refresh)
        except ForeactError as problem:
            return refresh.model_copy(update={"sentence": str(problem)})
        # Its state changes only once its numbers can be seen.
        return refresh.model_copy(update={"steps": progress.steps})

    def list_active(self) -> list[Refresh]:
        """Return the refreshes that wait or run; none while they cannot be read."""
        if self._publications.unreachable:
            return []
        try:
            return self.records.list_active()
        except ForeactError:
            return []

    def last_failed(self, store: str) -> Refresh | None:
        """Return the store's last refresh that ended, if it failed."""
        if self.runner is None or self._publications.unreachable:
            return None
        try:
            ended = next((refresh for refresh in self.list_ended() if refresh.store == store), None)
        except ForeactError:
            return None
        return ended if ended is not None and ended.state == "failed" else None

    def list_ended(self) -> list[Refresh]:
        """Return the refreshes that ended last, the latest first; each is read only once."""
        names = self.records.ended_ids()[-SHOWN:]
        for name in names:
            if name not in self._past:
                found = self.records.find_ended(name)
                if found is not None:
                    self._past[name] = found
        self._past = {name: self._past[name] for name in names if name in self._past}
        return [self._past[name] for name in reversed(names) if name in self._past]

    def estimate_seconds(self) -> float | None:
        """Return how long the latest refreshes took once they had started; None if none has ended well."""
        if self._estimate is None or time.monotonic() - self._estimate[0] > ESTIMATE_SECONDS:
            try:
                ended = self.list_ended()
            except ForeactError:
                ended = []
            took = [
                (refresh.ended_at - refresh.started_at).total_seconds()
                for refresh in ended
                if refresh.state == "succeeded" and refresh.ended_at and refresh.started_at
            ]
            usual = round(median(took[:ESTIMATED_FROM]), 1) if took else None
            self._estimate = time.monotonic(), usual
        return self._estimate[1]

    def count_ahead(self, refresh: Refresh) -> int | None:
        """Return how many refreshes wait before one; None if it does not wait."""
        waiting = in_turn(self.records.list_active())
        return next((place for place, other in enumerate(waiting) if other.id == refresh.id), None)

    def advance_refreshes(self) -> None:
        """Start refreshes that may start, and finish those that ended; an unreachable store does not raise."""
        if self.runner is None or not self._advancing.acquire(blocking=False):
            return
        try:
            active = self.records.list_active()
            self._metrics.waiting.set(len(active))
            for refresh in active:
                if refresh.state == "running":
                    self._check_progress(refresh)
            self._start_next()
        except NewerRecord:
            # Told where it was read; this runs several times a second.
            return
        except ForeactError as problem:
            log.warning("refreshes cannot be advanced: %s", problem)
        finally:
            self._advancing.release()

    def _start_next(self) -> None:
        assert self.runner is not None  # noqa: S101
        while True:
            active = self.records.list_active()
            running = sum(refresh.state == "running" for refresh in active)
            waiting = in_turn(active)
            if not waiting or running >= self.runner.parallel:
                return
            claimed = self._claim_refresh(waiting[0])
            if claimed is not None:
                self._start_refresh(claimed)

    def _claim_refresh(self, queued: Refresh) -> Refresh | None:
        """Mark a queued refresh as running; return None if another replica was faster."""
        claimed = queued.model_copy(update={"state": "running", "started_at": self._clock()})
        active = self.records.change_active(
            lambda active: [claimed if refresh == queued else refresh for refresh in active]
        )
        return claimed if claimed in active else None

    def _start_refresh(self, refresh: Refresh) -> None:
        assert self.runner is not None  # noqa: S101
        try:
            started = self.runner.start(refresh)
        except ForeactError as problem:
            self._finish_refresh(refresh, Progress("failed", failed_step="start", sentence=str(problem)))
            return
        log.info(
            "refresh started", extra={"refresh": refresh.id, "store": refresh.store, "request_id": refresh.request_id}
        )
        self._note_request(started)
        tracing.mark_run(started.run, refresh.traceparent, foreact__store=refresh.store, foreact__refresh=refresh.id)
        self.records.update_active(
            refresh.id, lambda record: record.model_copy(update={"run": started.run, "process": started.process})
        )

    def _note_request(self, started: Refresh) -> None:
        """Record which request the run serves, so that the log lines of its steps name it."""
        try:
            self._runs.note_request(
                started.run, "retrain-store", started.store, started.request_id, started.traceparent
            )
        except ForeactError as problem:
            log.warning("the request of run %s could not be recorded: %s", started.run, problem)

    def _check_progress(self, refresh: Refresh) -> None:
        assert self.runner is not None  # noqa: S101
        started = refresh.started_at or refresh.requested_at
        age = self._clock() - started
        if not refresh.run:
            # It was claimed, but no run is recorded: start it, or find the run that was started.
            if age > CLAIM:
                self._start_refresh(refresh)
            return
        try:
            progress = self.runner.observe(refresh)
        except ForeactError as problem:
            log.warning("refresh %s cannot be observed: %s", refresh.id, problem)
            progress = Progress("running", refresh.steps)
        if progress.state == "succeeded":
            progress = self._await_publication(refresh.store, progress)
        if progress.state in {"succeeded", "failed"}:
            self._finish_refresh(refresh, progress)
        elif age > self._limit:
            self.runner.stop(refresh)
            running = next((step.name for step in progress.steps if step.state == "running"), None)
            minutes = self._limit.total_seconds() / 60
            sentence = f"it took longer than {minutes:g} minutes and was stopped"
            self._finish_refresh(refresh, Progress("failed", progress.steps, running, sentence))

    def _await_publication(self, store: str, progress: Progress) -> Progress:
        """Return success once what the run published is served, or a failure if it cannot be."""
        self._publications.refresh()
        if self._publications.unreachable:
            return Progress("running", progress.steps)
        problem = self._publications.explain_gap(store)
        if problem:
            sentence = f"its numbers are not shown, because {problem}"
            return Progress("failed", progress.steps, "publish", sentence)
        return progress

    def _finish_refresh(self, refresh: Refresh, progress: Progress) -> None:
        snapshot = self._publications.current
        done = refresh.model_copy(
            update={
                "state": progress.state,
                "ended_at": self._clock(),
                "steps": progress.steps,
                "failed_step": progress.failed_step,
                "sentence": progress.sentence,
                "version": snapshot.version if snapshot and progress.state == "succeeded" else None,
            }
        )
        is_first = self.records.finish_refresh(done)
        if self.runner is not None:
            self.runner.forget(done)
        if not is_first:
            return
        if done.state == "failed" and done.run:
            # It may have been killed before it reported its end. In a thread: a slow webhook must not delay others.
            details = {"store": done.store, "step": done.failed_step or "", "message": done.sentence or ""}
            threading.Thread(target=self._report_end, args=(done.run, False), kwargs=details, daemon=True).start()
        self.records.delete_old()
        assert done.ended_at is not None  # noqa: S101
        seconds = (done.ended_at - done.requested_at).total_seconds()
        self._metrics.refreshes.labels(done.state).inc()
        self._metrics.refresh_seconds.observe(seconds)
        extra = {"refresh": done.id, "store": done.store, "state": done.state, "seconds": round(seconds, 1)}
        log.info("refresh ended", extra={**extra, "request_id": done.request_id, "sentence": done.sentence})


def in_turn(active: list[Refresh]) -> list[Refresh]:
    """Return those that wait in turn: each account's first before anyone's second, then by time of request."""
    counts: dict[str, int] = {}
    for refresh in active:
        if refresh.state == "running":
            counts[refresh.requested_by] = counts.get(refresh.requested_by, 0) + 1
    turns = []
    for place, refresh in enumerate(active):
        if refresh.state == "queued":
            turn = counts.get(refresh.requested_by, 0)
            counts[refresh.requested_by] = turn + 1
            turns.append((turn, place, refresh))
    return [refresh for _, _, refresh in sorted(turns, key=lambda turn: turn[:2])]
