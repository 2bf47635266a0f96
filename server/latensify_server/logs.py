"""The server's log: readable lines, or JSON lines for what collects them. Each event of a request carries its id.

A request's id is made by its client and travels in every message about it (docs/protocol.md), so the same id stands in
the host's message and in every line of the server's log, the worker's among them.
"""

from __future__ import annotations

import datetime
import json
import logging
import sys
from typing import IO, Any

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)
FIELDS = ("request", "client", "host", "effect", "frame", "code", "seconds")
"""What a record may carry beside its sentence: `log.info("done", extra={"request": id})`."""

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


def plain(text: str) -> str:
    """Text of a client's with its control characters spelt out: it begins no line and steers no terminal."""
    return text.translate(_CONTROLS)


class Readable(logging.Formatter):
    """One line an event."""

    def format(self, record: logging.LogRecord) -> str:
        request = getattr(record, "request", "")
        line = f"{record.levelname} {f'[{request}] ' if request else ''}{record.getMessage()}"
        told = [f"{self.formatTime(record)} {plain(line)}"]
        if record.exc_info:
            told.append(self.formatException(record.exc_info))
        return "\n".join(told)


class JsonLines(logging.Formatter):
    """One JSON map a line: `time` (UTC), `level`, `logger`, `message`, then those of FIELDS that the event has."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        told: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        told |= {name: value for name in FIELDS if (value := getattr(record, name, None)) not in (None, "")}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told)  # ASCII, so that no character ends a line


def start(log_format: str, stream: IO[str] | None = None) -> None:
    """Logs to `stream` (the errors) from now on, in one of FORMATS. Warnings of libraries are logged too."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if log_format == JSON else Readable())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
