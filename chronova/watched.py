"""Threads that may not end by themselves: one that does ends its process.

A thread that dies silently leaves a process that looks alive and does only half of its work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from events.features import TooOld

logger = structlog.get_logger("chronova")


class Watched:
    """A daemon thread that runs ``run``.

    When ``run`` raises, ``on_death`` is called and ``check`` raises what it raised.
    """

    def __init__(self, name: str, run: Callable[[], None], on_death: Callable[[], None]) -> None:
        self._run = run
        self._on_death = on_death
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def check(self) -> None:
        """Raises what ended the thread, if something did."""
        if self._error is not None:
            raise self._error

    def join(self, timeout_s: float) -> None:
        """Wait for its end."""
        self._thread.join(timeout_s)

    def _work(self) -> None:
        try:
            self._run()
        except TooOld as error:  # no defect: whoever checks says it
            self._error = error
            self._on_death()
        except Exception as error:  # noqa: BLE001 - raised by who checks
            self._error = error
            try:
                logger.exception("thread_died", thread=self._thread.name)
            finally:  # whatever becomes of the log
                self._on_death()
