"""Log lines of steps and of the service: one JSON object each where they are collected, readable text for people."""

import json
import logging
import sys
from datetime import UTC, datetime

from foreact.telemetry.tracing import fields_of

# Clients that would log every request, Azure's with its headers; and a library that tells how it sets itself up.
CHATTY = ("azure", "httpx", "httpcore", "great_expectations")


class JsonLines(logging.Formatter):
    """One object a line; nothing that a caller or a file holds can begin a new one."""

    def format(self, record: logging.LogRecord) -> str:
        """Encode a record with its fields."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Text(logging.Formatter):
    """A short line; control characters are shown, never obeyed."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record with its fields."""
        fields = " ".join(f"{name}={value}" for name, value in fields_of(record).items())
        text = f"{record.getMessage()} {fields}".rstrip()
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        line = f"{at} {record.levelname.lower()} " + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
        return line + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


def configure_logging(*, as_json: bool) -> None:
    """Send this process's log lines to standard error, and nowhere else."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else Text())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
