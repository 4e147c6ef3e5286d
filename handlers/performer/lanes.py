"""Work in order: one piece at a time for each subject, several subjects at once, newest wins.

A newer piece supersedes what waits or is under way for the same subject: what it wants implies the
rest. The versions of subjects without work are remembered for a while, so that an older piece
that comes late is not done.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence

from commands.work import Version
from handlers.performer.piece import CalledOff, Cancelled, Key, Piece, Superseded
from handlers.performer.pool import Pool

REMEMBERED_MAX = 20_000
"""Subjects without work whose newest version is remembered; about 4 MiB."""


class Lane:
    """The work of one subject: at most one piece under way and one that waits."""

    def __init__(self, newest: Version) -> None:
        self.newest = newest
        self.running: Piece | None = None
        self.begun = False
        """Whether a thread of the pool does what is running."""
        self.waiting: Piece | None = None


class Lanes:
    """Runs pieces with ``run``, which must not raise.

    ``short`` and ``long`` are the pools for pieces of each length; without pools each piece is run
    at once by the caller of ``start``. ``begin`` says whether new work may begin.
    """

    def __init__(
        self,
        run: Callable[[Piece], object],
        begin: Callable[[], bool],
        short: Pool | None,
        long: Pool | None,
    ) -> None:
        self._run = run
        self._begin = begin
        self._short = short
        self._long = long
        self._lock = threading.Lock()
        self._lanes: dict[Key, Lane] = {}
        self._ready: deque[Key] = deque()
        self._remembered: OrderedDict[Key, Version] = OrderedDict()
        self._closed = False

    def put(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Queue the pieces; begin none. Returns those that are superseded and never begin."""
        over: list[Piece] = []
        called_off: list[Piece] = []
        with self._lock:
            for piece in pieces:
                self._put(piece, over, called_off)
        for piece in called_off:
            piece.calling.off(Superseded)
        return over

    def _put(self, piece: Piece, over: list[Piece], called_off: list[Piece]) -> None:
        key, version = piece.key, piece.version
        lane = self._lanes.get(key)
        if lane is None:
            known = self._remembered.pop(key, version)
            lane = self._lanes[key] = Lane(max(known, version))
        if version < lane.newest:
            over.append(piece)
            if lane.running is None and lane.waiting is None:
                self._leave(key, lane)
            return
        lane.newest = version
        if lane.waiting is not None:
            over.append(lane.waiting)
        elif lane.running is None:
            self._ready.append(key)
        lane.waiting = piece
        if lane.running is not None and lane.running.version < version:
            called_off.append(lane.running)

    def start(self) -> None:
        """Begin what can begin."""
        while (piece := self._next()) is not None:
            pool = self._long if piece.long else self._short
            if pool is None:
                self._do(piece)
            else:
                pool.submit(self._do_and_go_on, piece)

    def _next(self) -> Piece | None:
        with self._lock:
            if self._closed or not self._ready or not self._begin():
                return None
            lane = self._lanes[self._ready.popleft()]
            lane.running, lane.waiting, lane.begun = lane.waiting, None, False
            return lane.running

    def _do_and_go_on(self, piece: Piece) -> None:
        self._do(piece)
        self.start()

    def _do(self, piece: Piece) -> None:
        with self._lock:
            self._lanes[piece.key].begun = True
        try:
            self._run(piece)
        finally:
            with self._lock:
                lane = self._lanes[piece.key]
                lane.running = None
                if lane.waiting is not None:
                    self._ready.append(piece.key)
                else:
                    self._leave(piece.key, lane)

    def _leave(self, key: Key, lane: Lane) -> None:
        del self._lanes[key]
        self._remembered[key] = lane.newest
        while len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)

    def busy(self, host: str, subject: str) -> bool:
        """Work for this subject waits or is under way."""
        with self._lock:
            return (host, subject) in self._lanes

    def pending(self) -> int:
        """How many subjects have work waiting or under way."""
        with self._lock:
            return len(self._lanes)

    def close(self) -> None:
        """Begin nothing more."""
        with self._lock:
            self._closed = True

    def running(self) -> list[Piece]:
        """What is under way."""
        with self._lock:
            return [lane.running for lane in self._lanes.values() if lane.running is not None]

    def queued(self) -> list[Piece]:
        """What waits for its turn, with nothing of its subject under way."""
        with self._lock:
            lanes = [
                lane for lane in self._lanes.values() if lane.running is None or not lane.begun
            ]
            return [piece for lane in lanes if (piece := lane.waiting or lane.running) is not None]

    def call_off(self, pieces: Iterable[Piece], reason: type[CalledOff] = Cancelled) -> None:
        """Call these pieces off."""
        for piece in pieces:
            piece.calling.off(reason)
