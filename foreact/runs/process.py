"""The start of a step's process: set logging, read settings."""

import atexit
import logging
import os
import re
import signal
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from foreact.context import RunContext
from foreact.errors import ForeactError
from foreact.runs.events import Events, Sink
from foreact.settings import PipelineSettings
from foreact.telemetry import lines, tracing

# The run's record must not hold up the run.
PATIENCE_SECONDS = 5.0
# The process group of a run on this machine, whose processes all read the pipe of the command that started it.
RUN_GROUP = "FOREACT_RUN_GROUP"
# A run that is stopped cleans up and reports its end; on a busy machine both take time.
STOP_SECONDS = 30.0


@dataclass(frozen=True)
class TaskSize:
    """What a task may use of its machine."""

    cpus: int
    # Bytes.
    memory: int

    @classmethod
    def parse(cls, cpu: str, memory: str) -> "TaskSize":
        """Read sizes as Kubernetes writes them: 2, 500m; 4Gi, 512M."""
        cores = float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
        number, unit = re.fullmatch(r"([\d.]+)([KMGT]?i?)", memory).groups()  # type: ignore[union-attr]
        power = "KMGT".index(unit[0]) + 1 if unit else 0
        return cls(max(1, int(cores)), int(float(number) * (1024 if unit.endswith("i") else 1000) ** power))


def machine_size() -> TaskSize:
    """Return the size of this machine, less a quarter of its memory for everything else."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return TaskSize(os.cpu_count() or 1, int(memory * 0.75))


def configure_task(store: str = "") -> tuple[PipelineSettings, Events]:
    """Set logging for a step's process; return its settings, and where to write events.

    A step that gets the run's one store passes it here: on a cluster nothing else names it.
    """
    context = RunContext.read()
    context = replace(context, store=context.store or store)
    context.enter()
    configure_logging()
    end_with_command()
    settings = PipelineSettings()
    sink = _open_record_sink(context, settings)
    if tracing.is_on():
        tracing.start_exporting("foreact-pipeline")
        atexit.register(tracing.stop_exporting)
    return settings, Events(Path(context.events) if context.events else None, sink)


def end_with_command() -> None:
    """End the whole run when the command that started it ends, however it does: that closes its end of the pipe.

    Every process of the run watches, because the one that started the others may be killed with the command.
    """
    if os.environ.get(RUN_GROUP) != str(os.getpgrp()):
        return

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os.killpg(0, signal.SIGTERM)
        time.sleep(STOP_SECONDS)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="end with command", daemon=True).start()


def configure_logging() -> None:
    """Set how a step's process writes log lines."""
    lines.configure_logging(as_json="KUBERNETES_SERVICE_HOST" in os.environ)


def _open_record_sink(context: RunContext, settings: PipelineSettings) -> Sink | None:
    """Return a function that keeps the run's record where the service reads it; None for a run without a name.

    The record says whose request the run serves, because Kubeflow passes a task nothing but its parameters.
    """
    if not context.run:
        return None
    from foreact.blobs import connect
    from foreact.runs.ledger import RunLedger, make_record_sink

    try:
        runs = RunLedger(connect(settings, patience=PATIENCE_SECONDS))
        record = None if context.request_id else runs.read_history().find_run(context.run)
    except (ForeactError, OSError) as problem:
        logging.getLogger(__name__).warning("the run's record will not be written: %s", problem)
        return None
    if record is not None and record.request_id:
        parent = context.traceparent or record.traceparent
        replace(context, request_id=record.request_id, traceparent=parent).enter()
    return make_record_sink(runs, context.run, context.pipeline, context.store)
