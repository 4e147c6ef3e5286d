"""Structured logs: one JSON object a line on stderr, with the role and where known the request.

What libraries log comes in the same form. Nothing here knows a secret: whoever logs names fields
one by one, and tracebacks come without the values of locals.

Logging stops nobody: on a full disk lines are lost, and the process goes on. What a library says
over and over (kafka-python some twenty times a second while its broker is away) is written once
in ``REPEATS_S``.
"""

from __future__ import annotations

import logging
import sys
import time
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from structlog.types import EventDict, Processor

REPEATS_S = 10.0
KNOWN_MAX = 500
"""Different messages remembered; then it is begun anew."""


class Unfailing:
    """A stream that loses what cannot be written, and begins a new line afterwards."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._torn = False

    def write(self, text: str) -> int:
        """Write it, or not."""
        try:
            self._stream.write(f"\n{text}" if self._torn else text)
            self._stream.flush()
            self._torn = False
        except OSError:
            self._torn = True
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Rarely(logging.Filter):
    """Lets the same message of the same logger pass once in ``REPEATS_S``."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write it."""
        now = time.monotonic()
        said = (record.name, str(record.msg))
        if now - self._passed.get(said, -REPEATS_S) < REPEATS_S:
            return False
        if len(self._passed) >= KNOWN_MAX:
            self._passed.clear()
        self._passed[said] = now
        return True


def begin(role: str) -> None:
    """Set up the logging of this process; stderr never fails from now on."""
    stream = cast(TextIO, Unfailing(sys.stderr))
    sys.stderr = stream

    def named(logger: Any, method: str, event: EventDict) -> EventDict:
        event["role"] = role
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        named,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(default=str)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.addFilter(Rarely())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
