"""Threads that do pieces of work and do not keep a process from ending.

A ``ThreadPoolExecutor`` waits for its threads when the interpreter ends. Here a piece that hangs in
a hypervisor's call is left behind: its mark tells the next process what to do about it.
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import structlog

TELL_EVERY_S = 10.0
"""Seconds between two failures that are logged; all are counted."""

TRACEBACK_CHARS = 8000
"""Of a traceback, its last ones."""

logger = structlog.get_logger("pool")


class Pool(Protocol):
    """What does pieces beside the caller."""

    def submit(self, run: Callable[..., Any], /, *arguments: Any) -> object:
        """Call ``run(*arguments)`` soon."""

    def wait(self, seconds: float) -> None:
        """Let time pass while pieces go on."""


class DaemonPool:
    """At most ``threads`` daemon threads, started as they are needed.

    A call should raise nothing. A thread outlives one that does: that is logged and counted in
    ``failures``, and ``on_failure`` is called in that thread.
    """

    def __init__(
        self, threads: int, name: str, on_failure: Callable[[], object] = lambda: None
    ) -> None:
        self.failures = 0
        self._threads_max = threads
        self._name = name
        self._on_failure = on_failure
        self._told_at = float("-inf")
        self._lock = threading.Lock()
        self._idle = 0
        self._started = 0
        self._calls: queue.SimpleQueue[tuple[Callable[..., Any] | None, tuple[Any, ...]]] = (
            queue.SimpleQueue()
        )
        self._passing = threading.Event()

    def submit(self, run: Callable[..., Any], /, *arguments: Any) -> object:
        """Call ``run(*arguments)`` in one of the threads. Raises ``RuntimeError`` where there is
        none, and none can be started."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            elif self._started < self._threads_max:
                self._start()
            self._calls.put((run, arguments))
        return None

    def _start(self) -> None:
        name = f"{self._name}-{self._started + 1}"
        try:
            threading.Thread(target=self._work, name=name, daemon=True).start()
        except RuntimeError:  # the machine has no room for another one now
            if not self._started:
                raise
        else:
            self._started += 1

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._passing.wait(seconds)

    def close(self) -> None:
        """Let each thread end after what it does now, and all that was submitted before."""
        with self._lock:
            for _ in range(self._started):
                self._calls.put((None, ()))

    def _work(self) -> None:
        while True:
            run, arguments = self._calls.get()
            if run is None:
                return
            try:
                run(*arguments)
            except BaseException:  # noqa: BLE001 - without its thread all later calls would wait
                with suppress(Exception):  # nor for a log or a metric that cannot be written
                    self._failed(traceback.format_exc())
            with self._lock:
                if self._calls.empty():
                    self._idle += 1

    def _failed(self, trace: str) -> None:
        with self._lock:
            self.failures += 1
            failures, now = self.failures, time.monotonic()
            tell = now - self._told_at >= TELL_EVERY_S
            self._told_at = now if tell else self._told_at
        try:
            self._on_failure()
        finally:
            if tell:
                trace = trace[-TRACEBACK_CHARS:]
                logger.error("call_failed", pool=self._name, failures=failures, exception=trace)
