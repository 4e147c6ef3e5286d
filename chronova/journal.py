"""Structured logs: one JSON object a line on stderr, with the role and where known the request."""

from __future__ import annotations

import logging
import sys

import structlog


def begin(role: str) -> None:
    """Set up the logging of this process."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format='{"event": "%(message)s", "logger": "%(name)s", "level": "%(levelname)s"}',
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role)
