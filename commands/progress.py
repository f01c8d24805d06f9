"""The progress of a run on this machine: bars on a terminal, plain lines in a log."""

import subprocess
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

if TYPE_CHECKING:
    from foreact.runs.workspace import Run

PAUSE = 0.1


def follow_run(run: "Run", process: "subprocess.Popen[bytes]", console: Console | None = None) -> bool:
    """Show a run's events until its process ends; return whether it succeeded."""
    console = console or Console(stderr=True)
    view: _Bars | _Lines = _Bars(console) if console.is_terminal else _Lines(console)
    position = 0
    with view:
        while True:
            ended = process.poll() is not None
            events, position = run.read_events(position)
            for event in events:
                view.show_event(event)
            if ended:
                return process.returncode == 0
            time.sleep(PAUSE)


class _Lines:
    """A line when a step ends or has a note."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show_event(self, event: dict[str, Any]) -> None:
        if event["event"] == "step" and event["step"] != "run" and event["state"] != "started":
            self._print_line(f"{event['step']:<9} {event['state']} after {event['seconds']:.1f} s")
        elif event["event"] == "note":
            self._print_line(f"{event['step']:<9} {event['text']}")

    def _print_line(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


class _Bars:
    """A bar for each step, which shows how many of its stores or parts are done."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            # What is left of the line, for an id of any length.
            TextColumn("{task.fields[detail]}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
            console=console,
            expand=True,
        )
        self.bars: dict[str, TaskID] = {}

    def __enter__(self) -> "_Bars":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def show_event(self, event: dict[str, Any]) -> None:
        step = event.get("step", "run")
        if step == "run":
            return
        if step not in self.bars:
            self.bars[step] = self.progress.add_task(step, total=None, detail="")
        bar = self.bars[step]
        match event:
            case {"event": "progress", "done": done, "total": total, "detail": detail}:
                self.progress.update(bar, completed=done, total=total, detail=_make_printable(detail))
            case {"event": "note", "text": text}:
                # Printed above the bars, where it stays.
                self.progress.console.print(f"{step:<9} {text}", highlight=False, markup=False, soft_wrap=True)
            case {"event": "step", "state": "succeeded"}:
                total = self.progress.tasks[bar].total or 1
                self.progress.update(bar, total=total, completed=total)
                self.progress.stop_task(bar)
            case {"event": "step", "state": "failed"}:
                self.progress.update(bar, detail="failed")
                self.progress.stop_task(bar)


def _make_printable(name: str) -> str:
    """Replace characters of an id that would break the line or control the terminal."""
    return "".join(character if character.isprintable() else " " for character in name)
