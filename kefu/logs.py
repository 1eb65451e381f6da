"""One line for each thing that happened, as JSON for machines or as text for a terminal.

The message of a kefu logger is a fixed event name and its variables are `extra` fields:
`log.info("handoff_done", extra={"waited_s": 3})`. Whose chat and which actor are bound by
context variables, so that no one has to pass them along. Other people's libraries never log
below INFO here: at DEBUG some of them write whole frames, and those hold people's words.
"""

import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

import msgspec

from kefu.redaction import redacted, scrubbed, trace

chat_id: ContextVar[str | None] = ContextVar("chat_id", default=None)
actor: ContextVar[object] = ContextVar("actor", default=None)
"""What says which by `str`: that is done for a line that is written, not for each turn."""

OWN = ("kefu", "actors", "protocol")
QUIET = ("httpx", "uvicorn.access", "uvicorn.error")  # a line for every request, URL and all
FILE_BYTES = 10_000_000
FILES_KEPT = 5

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}


class JsonFormatter(logging.Formatter):
    """One JSON object on one line."""

    def __init__(self, instance: str) -> None:
        super().__init__()
        self._instance = instance

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": _timestamp(record),
            "level": record.levelname.lower(),
            "event": scrubbed(record.getMessage()),
            "logger": record.name,
            **_fields(record),
            "instance": self._instance,
        }
        return msgspec.json.encode(line).decode()


class TextFormatter(logging.Formatter):
    """The same for eyes: time, level, event, fields."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        places = fields.pop("trace", None)
        said = " ".join(f"{name}={value}" for name, value in fields.items())
        line = f"{_timestamp(record)[11:23]} {record.levelname.lower():7} "
        line += f"{scrubbed(record.getMessage())} {said}".replace("\n", " ").rstrip()
        return f"{line}\n{places}" if places else line


def configure(
    *,
    level: str,
    style: str = "auto",
    file: Path | None = None,
    instance: str | None = None,
    stream: TextIO | None = None,
) -> None:
    """Send every log line of this process to `stream` (standard output) and to `file`.

    `style` is `json`, `text` or `auto` (text on a terminal). Called again, it replaces what was
    set before. Raises OSError when the file cannot be opened.
    """
    out = stream or sys.stdout
    name = instance or socket.gethostname()
    as_text = style == "text" or (style == "auto" and out.isatty())
    handlers: list[logging.Handler] = [logging.StreamHandler(out)]
    handlers[0].setFormatter(TextFormatter() if as_text else JsonFormatter(name))
    if file is not None:
        handlers.append(
            RotatingFileHandler(
                file, maxBytes=FILE_BYTES, backupCount=FILES_KEPT - 1, encoding="utf-8"
            )
        )
        handlers[1].setFormatter(JsonFormatter(name))
    lowest = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(handlers=handlers, level=max(lowest, logging.INFO), force=True)
    for own in OWN:
        logging.getLogger(own).setLevel(lowest)
    for quiet in QUIET:
        logging.getLogger(quiet).setLevel(logging.WARNING)


@contextmanager
def bound(*, chat: str | None = None, acting: str | None = None) -> Iterator[None]:
    """Every line written inside carries this chat id and this actor."""
    chat_before = chat_id.set(chat if chat is not None else chat_id.get())
    actor_before = actor.set(acting if acting is not None else actor.get())
    try:
        yield
    finally:
        actor.reset(actor_before)
        chat_id.reset(chat_before)


def _timestamp(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> dict[str, object]:
    bound_now = {"chat_id": chat_id.get(), "actor": actor.get()}
    fields: dict[str, object] = {
        name: str(value) for name, value in bound_now.items() if value is not None
    }
    fields |= {
        name: redacted(name, value)
        for name, value in record.__dict__.items()
        if name not in _STANDARD
    }
    if record.exc_info and record.exc_info[1] is not None:
        fields["trace"] = trace(record.exc_info[1])
    return fields
