"""Find the files of all tables and name the state they are in."""

from collections.abc import Iterable

from foreact.data.reading.sources import OpenUrl, fingerprint_sources
from foreact.runs.events import Events


def locate(*, history: str, known: Iterable[str], open_url: OpenUrl | None = None, events: Events) -> str:
    """Return a text that changes whenever a file of the history or of a known table does."""
    with events.step("locate"):
        return fingerprint_sources([history, *known], open_url)
