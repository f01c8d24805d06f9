"""How a step's process begins: logging set, settings read."""

import atexit
import json
import logging
import os
import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foreact.errors import ForeactError
from foreact.events import Events, Sink
from foreact.settings import PipelineSettings
from foreact.telemetry import tracing

if TYPE_CHECKING:
    from foreact.telemetry.ledger import RunRecord

# The run's record must not hold up the run.
PATIENCE_SECONDS = 5.0


class JsonLines(logging.Formatter):
    """One JSON object a line, as container platforms collect it."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record."""
        line = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **tracing.whose(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class Text(logging.Formatter):
    """A line for people, with the run that it is of."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record."""
        whose = " ".join(f"{field}={value}" for field, value in tracing.whose().items())
        return f"{super().format(record)} [{whose}]" if whose else super().format(record)


@dataclass(frozen=True)
class Size:
    """What a task may use of its machine."""

    cpus: int
    # Bytes.
    memory: int

    @classmethod
    def of(cls, cpu: str, memory: str) -> "Size":
        """Read sizes as Kubernetes writes them: 2, 500m; 4Gi, 512M."""
        cores = float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
        number, unit = re.fullmatch(r"([\d.]+)([KMGT]?i?)", memory).groups()  # type: ignore[union-attr]
        power = "KMGT".index(unit[0]) + 1 if unit else 0
        return cls(max(1, int(cores)), int(float(number) * (1024 if unit.endswith("i") else 1000) ** power))


def machine() -> Size:
    """Give the size of this machine, less a quarter of its memory for everything else."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Size(os.cpu_count() or 1, int(memory * 0.75))


def begin(store: str = "") -> tuple[PipelineSettings, Events]:
    """Set logging for a step's process; gives what the step needs to know of its place, and where to tell of itself.

    A step that is given the run's one store says so: on a cluster nobody else does.
    """
    if store:
        os.environ.setdefault("FOREACT_STORE", store)
    log_lines()
    settings = PipelineSettings()
    sink = _sink(settings)
    if tracing.is_on():
        tracing.start("foreact-pipeline")
        atexit.register(tracing.stop)
    return settings, Events.from_environment(sink)


def log_lines() -> None:
    """Set how this process writes log lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if "KUBERNETES_SERVICE_HOST" in os.environ else Text())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Azure's client would tell every request with its headers.
    logging.getLogger("azure").setLevel(logging.WARNING)


def _sink(settings: PipelineSettings) -> Sink | None:
    """Keep the run's record where the service reads it; a run without a name has none."""
    if not settings.run_id:
        return None
    from foreact.blobs import connect
    from foreact.telemetry.ledger import Runs, make_sink

    try:
        runs = Runs(connect(settings, patience=PATIENCE_SECONDS))
        if tracing.REQUEST not in os.environ:
            _remember_request(runs.read().find(settings.run_id))
    except (ForeactError, OSError) as problem:
        logging.getLogger(__name__).warning("the run's record will not be written: %s", problem)
        return None
    return make_sink(runs, settings.run_id, settings.pipeline, settings.store)


def _remember_request(record: "RunRecord | None") -> None:
    """Take from the run's record whose request it serves: Kubeflow hands a task no more than its parameters."""
    if record is not None and record.request_id:
        os.environ[tracing.REQUEST] = record.request_id
        os.environ.setdefault(tracing.PARENT, record.traceparent)
