"""The events of a run while it works, one JSON line each.

Each step appends them to the file that the run context names; the command line shows them as progress bars and the
serving process as live steps. Without that file an event is one log line.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from foreact.blobs.folder import FULL
from foreact.blobs.protocol import BlobConflict, BlobNotFound
from foreact.context import RunContext
from foreact.errors import ForeactError, ServiceUnavailable
from foreact.telemetry.tracing import span

log = logging.getLogger("foreact")
Sink = Callable[[str, dict[str, Any]], None]

# Where Kubernetes reads why a container ended, and Argo from there.
TERMINATION_LOG = Path("/dev/termination-log")
# What kustomize/platform/kubeflow looks for there: the step is not tried again.
FINAL = "Trying again would not help"
# What a stale or torn answer of the blob store looks like may be gone the next time too.
MAY_PASS = (ServiceUnavailable, BlobNotFound, BlobConflict)


class Events:
    """Where a run's events go."""

    def __init__(self, path: Path | None = None, sink: Sink | None = None) -> None:
        self.path = path
        # Called with every event except progress, in addition to the file.
        self.sink = sink

    def emit(self, event: str, **fields: Any) -> None:
        """Write one event."""
        if self.sink is not None and event != "progress":
            self.sink(event, fields)
        if self.path is None:
            log.info("%s", _describe_event(event, fields), extra={"event": event, "step": fields.get("step", "")})
            return
        record = {"at": time.time(), "event": event, **fields}
        with self.path.open("ab") as file:
            file.write(json.dumps(record, default=str).encode() + b"\n")

    def progress(self, step: str, done: int, total: int, detail: str = "") -> None:
        """Write how much of a step is done."""
        self.emit("progress", step=step, done=done, total=total, detail=detail)

    def figures(self, step: str, figures: Mapping[str, float]) -> None:
        """Write a step's figures."""
        self.emit("figures", step=step, figures=dict(figures))

    def parameters(self, step: str, parameters: Mapping[str, Any]) -> None:
        """Write the parameters that the run works with, so that the next one can take them."""
        self.emit("parameters", step=step, parameters=dict(parameters))

    def note(self, step: str, text: str) -> None:
        """Write a sentence that a person should read, although the run goes on."""
        self.emit("note", step=step, text=text)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Write when a step starts and how it ends."""
        started = time.monotonic()
        self.emit("step", step=name, state="started")
        context = RunContext.read()
        try:
            with span(name, parent=context.traceparent, run=context.run, foreact__run=context.run, foreact__step=name):
                yield
        except BaseException as error:
            seconds = time.monotonic() - started
            self.emit("step", step=name, state="failed", seconds=seconds, sentence=_first_sentence(error))
            _tell_kubernetes(error)
            raise
        self.emit("step", step=name, state="succeeded", seconds=time.monotonic() - started)


def _describe_event(event: str, fields: dict[str, Any]) -> str:
    """Return an event in words, for who reads a step's log."""
    if event == "step":
        took = f" after {fields['seconds']:.1f} s" if "seconds" in fields else ""
        return f"{fields['step']} {fields['state']}{took}{': ' + fields['sentence'] if fields.get('sentence') else ''}"
    if event == "progress":
        return f"{fields['step']}: {fields['done']:,} of {fields['total']:,} {fields['detail']}".rstrip()
    if event == "parameters":
        return f"{fields['step']}: the run's parameters are {fields['parameters']}"
    if event == "figures":
        figures = ", ".join(f"{name} {value:.4g}" for name, value in fields["figures"].items())
        return f"{fields['step']}: {figures}"
    return f"{fields['step']}: {fields.get('text') or fields.get('sentence', event)}"


def _tell_kubernetes(error: BaseException) -> None:
    """Say why the step's container ends, where there is one: the launcher's exit code is the same for every reason."""
    is_final = isinstance(error, ForeactError) and not isinstance(error, MAY_PASS)
    text = f"{FINAL}: {_first_sentence(error)}" if is_final else _first_sentence(error)
    # Kubernetes keeps 4,096 bytes of it. Elsewhere there is no such file, and none is made.
    with suppress(OSError), TERMINATION_LOG.open("r+b") as file:
        file.truncate()
        file.write(text.encode()[:4096])


def _first_sentence(error: BaseException) -> str:
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return "it was stopped"
    if isinstance(error, OSError) and error.errno in FULL:
        return "The disk is full: free space and run again."
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
