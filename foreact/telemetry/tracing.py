"""Traces and logs by OTLP: off, and nothing of it imported, unless OTEL_EXPORTER_OTLP_ENDPOINT is set.

A run's steps belong to one trace: to that of the request that asked for the run, which TRACEPARENT in the environment
names, or else to one that follows from the run's id.
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from foreact.context import RunContext

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_log_fields: ContextVar[Mapping[str, str]] = ContextVar("log_fields", default=MappingProxyType({}))
# What every record has, and Uvicorn's second copy of a message, with a terminal's colours in it.
_STANDARD = frozenset(
    {*logging.LogRecord("", 0, "", 0, "", None, None).__dict__, "message", "asctime", "taskName", "color_message"}
)
_started: list[Any] = []


def is_on() -> bool:
    """Return whether traces are wanted here."""
    return bool(os.environ.get(ENDPOINT))


def is_started() -> bool:
    """Return whether this process sends spans."""
    return bool(_started)


def start_exporting(service: str) -> None:
    """Send this process's spans and log lines from now on; does nothing where traces are off."""
    if not is_on() or _started:
        return
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME") or service})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    logs = LoggerProvider(resource=resource)
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    logging.getLogger().addHandler(_Lines(logs.get_logger("foreact")))
    _started.extend([tracers, logs])


def stop_exporting() -> None:
    """Send what waits, within a few seconds."""
    for provider in _started:
        provider.force_flush(5_000)
        provider.shutdown()
    for handler in list(logging.getLogger().handlers):
        if isinstance(handler, _Lines):
            logging.getLogger().removeHandler(handler)
    _started.clear()


class _Lines(logging.Handler):
    """Sends log lines on, each with the span in which it was written and whatever it carries beside its text."""

    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        from opentelemetry._logs import LogRecord, SeverityNumber
        from opentelemetry.context import get_current

        if record.name.startswith("opentelemetry"):
            # What fails to be sent must not be sent about.
            return
        severity = {10: SeverityNumber.DEBUG, 20: SeverityNumber.INFO, 30: SeverityNumber.WARN}
        fields = {name: str(value) for name, value in fields_of(record).items()}
        self._logger.emit(
            LogRecord(
                timestamp=int(record.created * 1e9),
                context=get_current(),
                severity_number=severity.get(record.levelno, SeverityNumber.ERROR),
                severity_text=record.levelname,
                body=record.getMessage(),
                attributes={"logger": record.name, **fields},
            )
        )


def current_log_context() -> dict[str, str]:
    """Return the fields that a log line carries: those of the step's process, and of what it works on at the moment."""
    return {**RunContext.read().to_log_fields(), **_log_fields.get()}


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a log line carries beside its text: the run's fields, and those that its writer added."""
    extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD and value is not None}
    return {**current_log_context(), **extra}


@contextmanager
def log_context(**fields: str) -> Iterator[None]:
    """Add fields to the log lines written within."""
    token = _log_fields.set({**_log_fields.get(), **fields})
    try:
        yield
    finally:
        _log_fields.reset(token)


@contextmanager
def span(name: str, *, parent: str = "", run: str = "", kind: str = "internal", **attributes: Any) -> Iterator[Any]:
    """Time something as a span, the current one for what it calls; yield None where traces are off.

    `parent` is a traceparent from elsewhere; with `run` alone the span belongs to the run's own trace.
    """
    if not _started:
        yield None
        return
    from opentelemetry import context, trace

    around = _read_traceparent(parent)
    if not around and run and not trace.get_current_span().get_span_context().is_valid:
        around = _read_traceparent(trace_of(run))
    tracer = _started[0].get_tracer("foreact")
    with tracer.start_as_current_span(
        name,
        around or context.get_current(),
        kind=trace.SpanKind[kind.upper()],
        attributes=_known_fields(attributes),
        record_exception=False,
    ) as made:
        yield made


def mark_run(run: str, parent: str, **attributes: Any) -> None:
    """Record in a request's trace which run it started, and link that run's own trace."""
    if not _started or not run:
        return
    from opentelemetry import trace

    links = [trace.Link(trace.get_current_span(_read_traceparent(trace_of(run))).get_span_context())]
    tracer = _started[0].get_tracer("foreact")
    known = _known_fields({"foreact.run": run, **attributes})
    around = _read_traceparent(parent) or None
    tracer.start_span("refresh started", around, kind=trace.SpanKind.PRODUCER, attributes=known, links=links).end()


def format_traceparent(made: "Span | None") -> str:
    """Return the traceparent that names a span to another process; empty where traces are off."""
    if made is None:
        return ""
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier, trace.set_span_in_context(made))
    return carrier.get("traceparent", "")


def current_traceparent() -> str:
    """Return the traceparent of the current span; empty where traces are off."""
    if not _started:
        return ""
    from opentelemetry import trace

    return format_traceparent(trace.get_current_span())


def trace_of(run: str) -> str:
    """Return the traceparent of the trace that a run's steps share when nobody's request began it."""
    digest = hashlib.sha256(f"foreact run {run}".encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-01"


def _read_traceparent(traceparent: str) -> "Context":
    """Return the context of a span elsewhere; an empty one if there is none."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent}, Context())


def _known_fields(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("__", "."): value for name, value in attributes.items() if value not in (None, "")}
