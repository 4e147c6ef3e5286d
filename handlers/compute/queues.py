"""Work in order: one piece at a time for each server, several servers at once, newest wins.

``generation`` and ``operation`` order the work for one server. A newer piece supersedes what is
queued or under way for the same server: what it wants implies the rest. The removal after a build
that was given up has the build's own numbers, and supersedes it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import msgspec

from commands.compute.delete import RemoveGuest
from commands.compute.guest import GuestWork
from events.log.contract import TopicPartition
from events.message import Context

Age = tuple[int, int, bool]


class Piece(msgspec.Struct, frozen=True):
    """A piece of work as it came: where from, in which envelope, for which host."""

    source: TopicPartition
    offset: int
    host: str
    context: Context
    work: GuestWork

    @property
    def age(self) -> Age:
        """Generation and operation, the larger is the newer; of two equals the removal."""
        work = self.work
        return (work.generation, work.operation, isinstance(work, RemoveGuest))


class Offsets:
    """How far each input partition is done without a gap. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[TopicPartition, set[int]] = {}
        self._next: dict[TopicPartition, int] = {}

    def begin(self, source: TopicPartition, offset: int, to_do: bool) -> None:
        """A record was read; ``to_do``: it is work, done when ``end`` says so."""
        with self._lock:
            self._next[source] = offset + 1
            if to_do:
                self._open.setdefault(source, set()).add(offset)

    def end(self, source: TopicPartition, offset: int) -> None:
        """The work of that record is done and reported."""
        with self._lock:
            self._open.get(source, set()).discard(offset)

    def done(self) -> dict[TopicPartition, int]:
        """For each partition the next offset that a restart must read again."""
        with self._lock:
            return {s: min(self._open.get(s) or {n}) for s, n in self._next.items()}

    def clear(self) -> None:
        """Forget everything: the input is read again from what was committed."""
        with self._lock:
            self._open.clear()
            self._next.clear()


class Pool(Protocol):
    """What runs pieces beside the caller; a ``ThreadPoolExecutor`` is one."""

    def submit(self, run: Callable[..., Any], /, *arguments: Any) -> object:
        """Call ``run(*arguments)`` soon."""

    def shutdown(self, wait: bool, *, cancel_futures: bool) -> None:
        """Take nothing more; wait for what runs, drop what does not yet."""


class Queues:
    """Runs pieces: those of one server in turn, of up to ``threads`` servers at once.

    ``threads`` 0 runs each piece at once in the caller's thread: for a driver that never waits.
    ``pool`` replaces the threads.
    """

    def __init__(self, run: Callable[[Piece], Any], threads: int, pool: Pool | None = None) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._newest: dict[str, Age] = {}
        self._waiting: dict[str, deque[Piece]] = {}
        self._pool = pool or (ThreadPoolExecutor(threads, "guest") if threads else None)

    def put(self, pieces: Sequence[Piece]) -> None:
        """Run each piece when those before it for its server are done. What is newest for a
        server is known before the first of them begins."""
        with self._lock:
            for piece in pieces:
                server = piece.work.server_id
                self._newest[server] = max(piece.age, self._newest.get(server, piece.age))
        for piece in pieces:
            self._put(piece)

    def _put(self, piece: Piece) -> None:
        server = piece.work.server_id
        with self._lock:
            waiting = self._waiting.get(server)
            if waiting is not None:
                waiting.append(piece)
                return
            self._waiting[server] = deque([piece])
        if self._pool is None:
            self._drain(server)
        else:
            self._pool.submit(self._drain, server)

    def superseded(self, piece: Piece) -> bool:
        """Newer work for the same server has come."""
        with self._lock:
            return self._newest.get(piece.work.server_id, piece.age) > piece.age

    def busy(self, server_id: str) -> bool:
        """Work for this server is queued or under way."""
        with self._lock:
            return server_id in self._waiting

    def pending(self) -> int:
        """How many servers have work queued or under way."""
        with self._lock:
            return len(self._waiting)

    def close(self) -> None:
        """Wait for what is under way; drop what is queued: it is read again after a restart."""
        with self._lock:
            for waiting in self._waiting.values():
                while len(waiting) > 1:
                    waiting.pop()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _drain(self, server: str) -> None:
        while True:
            with self._lock:
                piece = self._waiting[server][0]
            self._run(piece)
            with self._lock:
                waiting = self._waiting[server]
                waiting.popleft()
                if not waiting:
                    del self._waiting[server]
                    self._newest.pop(server, None)
                    return
