"""Takes requests for refreshes, starts what waits, and notices what ended."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from foreact.blobs import BlobUnavailable
from foreact.errors import ForeactError
from foreact.runs.ledger import RunLedger
from foreact.telemetry import tracing
from serving.errors import ApiError
from serving.metrics.service import Metrics
from serving.publication import PublicationCache
from serving.refreshes.records import Refresh, RefreshRecords, new_id
from serving.refreshes.runner import Progress, Runner

log = logging.getLogger("foreact.refreshes")
# A claim whose owner died before it could start anything is taken over after this.
CLAIM = timedelta(seconds=60)
# Two hundred pages that follow one refresh ask the store no more often than one would.
REMEMBERED_SECONDS = 0.3
# How many that ended lists and pages know of.
SHOWN = 100


class Refreshes:
    """All refreshes, over a book that any replica reads and a runner."""

    def __init__(
        self,
        book: RefreshRecords,
        runner: Runner | None,
        library: PublicationCache,
        metrics: Metrics,
        runs: RunLedger,
        tell_end: Callable[..., object],
        clock: Callable[[], datetime],
        *,
        queue: int,
        minutes: float,
    ) -> None:
        self.book = book
        self.runner = runner
        self._library = library
        self._metrics = metrics
        self._runs = runs
        self._tell_end = tell_end
        self._clock = clock
        self._queue = queue
        self._limit = timedelta(minutes=minutes)
        self._tending = threading.Lock()
        self._past: dict[str, Refresh] = {}
        self._recent: dict[str, tuple[float, Refresh]] = {}

    def request(self, store: str, account: str, request_id: str, traceparent: str = "") -> tuple[Refresh, bool]:
        """Ask for a refresh of a store, and tell whether one was under way already."""
        problem = self.runner.check() if self.runner else "this installation runs no refreshes"
        if problem:
            raise ApiError(503, "refresh_unavailable", f"no refresh can run now: {problem}")
        asked = self._clock()
        fresh = Refresh(
            id=new_id(asked),
            store=store,
            state="queued",
            requested_at=asked,
            requested_by=account,
            request_id=request_id,
            traceparent=traceparent,
        )

        def join(held: list[Refresh]) -> list[Refresh]:
            if any(refresh.store == store for refresh in held):
                return held
            if sum(refresh.state == "queued" for refresh in held) >= self._queue:
                message = f"{self._queue} refreshes are waiting already; ask again in a minute"
                raise ApiError(503, "refresh_queue_full", message, headers={"retry-after": "60"})
            return [*held, fresh]

        held = self.book.change_active(join)
        found = next(refresh for refresh in held if refresh.store == store)
        return found, found.id != fresh.id

    def find(self, refresh_id: str) -> Refresh | None:
        """Return a refresh as it is now, live steps included."""
        at, known = self._recent.get(refresh_id, (0.0, None))
        if known is not None and (known.ended_at or time.monotonic() - at < REMEMBERED_SECONDS):
            return known
        found = self._find_cached(refresh_id)
        if found is not None:
            if len(self._recent) > 1_000:
                self._recent.clear()
            self._recent[refresh_id] = (time.monotonic(), found)
        return found

    def _find_cached(self, refresh_id: str) -> Refresh | None:
        refresh = self.book.find_refresh(refresh_id)
        if refresh is None or refresh.state != "running" or self.runner is None:
            return refresh
        try:
            progress = self.runner.observe(refresh)
        except ForeactError as problem:
            return refresh.model_copy(update={"sentence": str(problem)})
        # That it ended shows only once its numbers can be seen.
        return refresh.model_copy(update={"steps": progress.steps})

    def active(self) -> list[Refresh]:
        """Return those that wait or run; none while the store is away, which pages tell in their own way."""
        if self._library.unreachable:
            return []
        try:
            return self.book.list_active()
        except BlobUnavailable:
            return []

    def last_failed(self, store: str) -> Refresh | None:
        """Return the store's last refresh that this service saw end, if it failed."""
        if self.runner is None or self._library.unreachable:
            return None
        try:
            ended = next((refresh for refresh in self.ended() if refresh.store == store), None)
        except BlobUnavailable:
            return None
        return ended if ended is not None and ended.state == "failed" else None

    def ended(self) -> list[Refresh]:
        """Return those that ended last, the latest first, reading each only once."""
        names = self.book.ended_ids()[-SHOWN:]
        for name in names:
            if name not in self._past:
                found = self.book.find_ended(name)
                if found is not None:
                    self._past[name] = found
        self._past = {name: self._past[name] for name in names if name in self._past}
        return [self._past[name] for name in reversed(names) if name in self._past]

    def position(self, refresh: Refresh) -> int | None:
        """Return how many wait before a refresh."""
        waiting = in_turn(self.book.list_active())
        return next((place for place, other in enumerate(waiting) if other.id == refresh.id), None)

    def tend(self) -> None:
        """Start what may start and finish what ended; one at a time in a process, never raises for a store away."""
        if self.runner is None or not self._tending.acquire(blocking=False):
            return
        try:
            held = self.book.list_active()
            self._metrics.waiting.set(len(held))
            for refresh in held:
                if refresh.state == "running":
                    self._check_progress(refresh)
            self._start_next()
        except BlobUnavailable as problem:
            log.warning("refreshes cannot be tended: %s", problem)
        finally:
            self._tending.release()

    def _start_next(self) -> None:
        assert self.runner is not None  # noqa: S101
        while True:
            held = self.book.list_active()
            running = sum(refresh.state == "running" for refresh in held)
            waiting = in_turn(held)
            if not waiting or running >= self.runner.parallel:
                return
            claimed = self._claim_next(waiting[0])
            if claimed is not None:
                self._start_refresh(claimed)

    def _claim_next(self, chosen: Refresh) -> Refresh | None:
        """Take what waits, unless another replica was faster."""
        taken = chosen.model_copy(update={"state": "running", "started_at": self._clock()})
        held = self.book.change_active(lambda held: [taken if refresh == chosen else refresh for refresh in held])
        return taken if taken in held else None

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
        self._tell_the_run(started)
        tracing.mark_run(started.run, refresh.traceparent, foreact__store=refresh.store, foreact__refresh=refresh.id)
        self.book.update_active(
            refresh.id, lambda held: held.model_copy(update={"run": started.run, "process": started.process})
        )

    def _tell_the_run(self, started: Refresh) -> None:
        """Leave word of the request where the run's steps look; without it their log lines name none."""
        try:
            self._runs.note_request(
                started.run, "retrain-store", started.store, started.request_id, started.traceparent
            )
        except ForeactError as problem:
            log.warning("run %s is not told who asked for it: %s", started.run, problem)

    def _check_progress(self, refresh: Refresh) -> None:
        assert self.runner is not None  # noqa: S101
        started = refresh.started_at or refresh.requested_at
        age = self._clock() - started
        if not refresh.run:
            # Claimed, but by whom is not known to have started anything: start it, or find what was.
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
            sentence = f"it took longer than {minutes:g} minutes and was ended"
            self._finish_refresh(refresh, Progress("failed", progress.steps, running, sentence))

    def _await_publication(self, store: str, progress: Progress) -> Progress:
        """See that what a run published is served: a refresh has succeeded once its numbers can be seen."""
        self._library.refresh()
        if self._library.unreachable:
            return Progress("running", progress.steps)
        problem = self._library.explain_gap(store)
        if problem:
            sentence = f"its numbers are not shown, as {problem}"
            return Progress("failed", progress.steps, "publish", sentence)
        return progress

    def _finish_refresh(self, refresh: Refresh, progress: Progress) -> None:
        snapshot = self._library.current
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
        first = self.book.finish_refresh(done)
        if self.runner is not None:
            self.runner.forget(done)
        if not first:
            return
        if done.state == "failed" and done.run:
            # It may have been killed before it told anybody; a webhook that is slow must not hold up other refreshes.
            told = {"store": done.store, "step": done.failed_step or "", "message": done.sentence or ""}
            threading.Thread(target=self._tell_end, args=(done.run, False), kwargs=told, daemon=True).start()
        self.book.delete_old()
        assert done.ended_at is not None  # noqa: S101
        seconds = (done.ended_at - done.requested_at).total_seconds()
        self._metrics.refreshes.labels(done.state).inc()
        self._metrics.refresh_seconds.observe(seconds)
        extra = {"refresh": done.id, "store": done.store, "state": done.state, "seconds": round(seconds, 1)}
        log.info("refresh ended", extra={**extra, "request_id": done.request_id, "sentence": done.sentence})


def in_turn(held: list[Refresh]) -> list[Refresh]:
    """Order what waits: an account's first before anybody's second, then as they came."""
    counts: dict[str, int] = {}
    for refresh in held:
        if refresh.state == "running":
            counts[refresh.requested_by] = counts.get(refresh.requested_by, 0) + 1
    turns = []
    for place, refresh in enumerate(held):
        if refresh.state == "queued":
            turn = counts.get(refresh.requested_by, 0)
            counts[refresh.requested_by] = turn + 1
            turns.append((turn, place, refresh))
    return [refresh for _, _, refresh in sorted(turns, key=lambda turn: turn[:2])]
