"""Threads that do pieces of work and do not keep a process from ending.

A ``ThreadPoolExecutor`` waits for its threads when the interpreter ends. Here a piece that hangs in
a hypervisor's call is left behind: its mark tells the next process what to do about it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol


class Pool(Protocol):
    """What does pieces beside the caller."""

    def submit(self, run: Callable[..., Any], /, *arguments: Any) -> object:
        """Call ``run(*arguments)`` soon."""

    def wait(self, seconds: float) -> None:
        """Let time pass while pieces go on."""


class DaemonPool:
    """At most ``threads`` daemon threads, started as they are needed."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads_max = threads
        self._name = name
        self._lock = threading.Lock()
        self._idle = 0
        self._started = 0
        self._calls: queue.SimpleQueue[tuple[Callable[..., Any] | None, tuple[Any, ...]]] = (
            queue.SimpleQueue()
        )
        self._passing = threading.Event()

    def submit(self, run: Callable[..., Any], /, *arguments: Any) -> object:
        """Call ``run(*arguments)`` in one of the threads. ``run`` must not raise."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            elif self._started < self._threads_max:
                self._started += 1
                threading.Thread(
                    target=self._work, name=f"{self._name}-{self._started}", daemon=True
                ).start()
            self._calls.put((run, arguments))
        return None

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
            run(*arguments)
            with self._lock:
                if self._calls.empty():
                    self._idle += 1
