"""Log lines: one JSON object each in a container, readable text on a terminal."""

import logging
import sys
from datetime import UTC, datetime

import orjson

from serving.settings import ServingSettings

# The fields of every record, and Uvicorn's second copy of a message, with a terminal's colours in it.
PLAIN = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}


class JsonLines(logging.Formatter):
    """One object a line; nothing a caller sends can begin a new one."""

    def format(self, record: logging.LogRecord) -> str:
        """Encode a record with its extra fields."""
        fields = {key: value for key, value in record.__dict__.items() if key not in PLAIN and value is not None}
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"at": at, "level": record.levelname, "logger": record.name, "message": record.getMessage(), **fields}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode("utf-8", "replace")


class Text(logging.Formatter):
    """A short line; control characters are shown, never obeyed."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record with its extra fields."""
        fields = " ".join(
            f"{key}={value}" for key, value in record.__dict__.items() if key not in PLAIN and value is not None
        )
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        text = f"{record.getMessage()} {fields}".rstrip()
        line = f"{at} {record.levelname.lower()} " + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
        return line + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


def configure(settings: ServingSettings) -> None:
    """Send log lines to standard error, in the form that suits where it leads."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Text() if sys.stderr.isatty() else JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for chatty in ("azure", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
