"""What runs a refresh: a protocol, so that routes and pages know neither processes nor Kubeflow."""

from dataclasses import dataclass
from typing import Protocol

from serving.refreshes.records import Refresh, State, Step


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    state: State
    steps: tuple[Step, ...] = ()
    failed_step: str | None = None
    sentence: str | None = None


class Runner(Protocol):
    """Starts runs, and tells of each by what its record holds, in whatever replica that was started."""

    # How many may run at once; more wait in the queue. How often to look, in seconds.
    parallel: int
    interval: float

    def check(self) -> str | None:
        """Return in one sentence why no refresh can run here, or nothing."""
        ...

    def start(self, refresh: Refresh) -> Refresh:
        """Start a run, or find the one that was started before; give the record that leads to it.

        Raises ForeactError, in one sentence, if it cannot be started.
        """
        ...

    def observe(self, refresh: Refresh) -> Progress:
        """Return how far the run of a record is."""
        ...

    def forget(self, refresh: Refresh) -> None:
        """Drop what was kept for a run that ended."""
        ...

    def stop(self, refresh: Refresh) -> None:
        """End a run that took too long."""
        ...
