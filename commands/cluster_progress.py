"""The progress of a run on the cluster: a table on a terminal, a line for each change in a log."""

import time

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

STYLES = {"SUCCEEDED": "green", "RUNNING": "cyan", "FAILED": "red", "CANCELED": "red"}


class StepsTable:
    """The steps' states as a table, updated when they change."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.live = Live(console=self.console, refresh_per_second=2) if self.console.is_terminal else None
        self.states: dict[str, str] = {}
        self.since: dict[str, float] = {}

    def __enter__(self) -> "StepsTable":
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def show_steps(self, steps: list[tuple[str, str]]) -> None:
        """Show the steps' titles and states."""
        for title, state in steps:
            if self.states.get(title, "PENDING") != state:
                took = f" after {time.monotonic() - self.since[title]:.0f} s" if title in self.since else ""
                self.since[title] = time.monotonic()
                if not self.live:
                    self.console.print(f"{title}: {state.lower()}{took}", highlight=False, markup=False, soft_wrap=True)
            self.states[title] = state
        if self.live:
            self.live.update(self._make_table())

    def _make_table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for title, state in self.states.items():
            elapsed = f"{time.monotonic() - self.since[title]:.0f} s" if state == "RUNNING" else ""
            table.add_row(title, Text(state.lower(), style=STYLES.get(state, "dim")), elapsed)
        return table
