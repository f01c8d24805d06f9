"""The protocol of what runs refreshes, so that routes and pages depend on neither processes nor Kubeflow."""

from dataclasses import dataclass
from typing import Protocol

from foreact.kubeflow.verdict import Outcome
from foreact.runs.ledger import RunRecord
from serving.refreshes.records import Refresh, State, Step


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    state: State
    steps: tuple[Step, ...] = ()
    failed_step: str | None = None
    sentence: str | None = None


class Runner(Protocol):
    """Starts runs, and follows each by its record, in whatever replica it was started."""

    # How many may run at once, more wait in the queue; and how often to observe them, in seconds.
    parallel: int
    interval: float

    def check(self) -> str | None:
        """Return in one sentence why no refresh can run here; None if one can."""
        ...

    def start(self, refresh: Refresh) -> Refresh:
        """Start a run, or find the one that was started before, and return the refresh with its run.

        Raise ForeactError if it cannot be started.
        """
        ...

    def observe(self, refresh: Refresh) -> Progress:
        """Return how far a refresh's run is."""
        ...

    def find_end(self, record: RunRecord) -> Outcome | None:
        """Return how a run ended whose record has no end, whoever started it; None if it goes on or is not known."""
        ...

    def forget(self, refresh: Refresh) -> None:
        """Delete what was kept for a run that ended."""
        ...

    def stop(self, refresh: Refresh) -> None:
        """Stop a run that takes too long."""
        ...
