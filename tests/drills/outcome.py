"""What a drill found, as a table that people read."""

import platform
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass
class Outcome:
    """Whether the promise held, the figures, and what planners saw."""

    name: str
    held: bool
    rows: list[tuple[str, ...]]
    seen: str
    columns: tuple[str, ...] = ("what", "result")

    def __str__(self) -> str:
        width = max(len(row[0]) for row in self.rows)
        lines = [f"drill {self.name}: {'held' if self.held else 'BROKEN'}. {self.seen}"]
        return "\n".join([*lines, *(f"  {row[0]:<{width}}  {' | '.join(row[1:])}" for row in self.rows)])

    def markdown(self) -> str:
        """Write it as a section of a page, with date and machine."""
        lines = [
            f"### {self.name}: {'held' if self.held else 'broken'}",
            "",
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine()}. {self.seen}",
            "",
            _line(self.columns),
            _line(("---",) * len(self.columns)),
        ]
        return "\n".join([*lines, *map(_line, self.rows)]) + "\n"


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def machine() -> str:
    """Describe this machine by what decides its speed."""
    import os

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"
