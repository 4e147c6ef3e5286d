"""The followers that make one build together, each some of the partitions, each in a thread.

While one waits for Postgres another folds. The first failure stops all; every batch is its own
transaction, so whoever calls again goes on from there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from events.log.contract import TopicPartition
from projections.builds import Build, Places
from projections.failures import BrokenPartition
from projections.follower import Follower

TICK_S = 0.2
"""How often it shows how far it is."""


def follow_to_the_end(follower: Follower, ended: Callable[[], bool]) -> None:
    """Project until level with the log, or told to end."""
    while not ended() and follower.behind():
        while not ended() and follower.step(TICK_S) >= follower.records_max:
            pass


class Progress(msgspec.Struct, frozen=True):
    """How far a rebuild is. ``events``: in the new build so far; ``total``: events in the log,
    estimated where the live build does not know; ``rate``: events a second in this run;
    ``eta_s``: seconds until all are read, None while unknown."""

    build: int
    phase: str
    events: int
    total: int
    rate: float
    eta_s: float | None


class Crew:
    """The followers that make one build, and what they show."""

    def __init__(
        self,
        followers: Sequence[Follower],
        build: Build,
        live: Places,
        progress: Callable[[Progress], None],
    ) -> None:
        self.began = time.monotonic()
        self._followers = [follower for follower in followers if follower.sources]
        self._build = build
        self._live = live
        self._progress = progress
        self._ends: dict[TopicPartition, int] = {}
        self._before: int | None = None
        self._elsewhere: Places = {}

    @property
    def places(self) -> Places:
        """How far the build is."""
        return {s: place for f in self._followers for s, place in f.places.items()} | (
            self._elsewhere
        )

    @property
    def waiting(self) -> dict[TopicPartition, BrokenPartition]:
        """The partitions that wait, and why."""
        return {s: error for f in self._followers for s, error in f.waiting.items()}

    def overtook(self, source: TopicPartition, offset: int) -> bool:
        """Whether the build has reached ``offset`` in a partition, or the end of a log that does
        not go so far (any more)."""
        for follower in self._followers:
            if source in follower.places:
                return follower.places[source].offset >= offset or follower.at_end(source, offset)
        return True

    @property
    def events(self) -> int:
        """Events in the build."""
        return sum(place.position for place in self.places.values())

    @property
    def read(self) -> int:
        """Events read in this run."""
        return self.events - (self._before or 0)

    def open(self) -> None:
        """Begin where the tables are."""
        self._elsewhere = {}
        for follower in self._followers:
            follower.open()
            self._ends.update(follower.ends())
        if self._before is None:
            self._before = self.events

    def unread(self) -> dict[TopicPartition, int]:
        """By partition, how many offsets are still to be read, as of ``open``."""
        return {source: self._ends[source] - at.offset for source, at in self.places.items()}

    def reached(self, places: Places) -> None:
        """The crew is closed, and others have come so far."""
        self._elsewhere = places

    def close(self) -> None:
        """Release everything."""
        for follower in self._followers:
            follower.close()

    def step(self, timeout_s: float) -> None:
        """One batch of each."""
        for follower in self._followers:
            follower.step(timeout_s / len(self._followers))

    def catch_up(self, stopped: threading.Event, phase: str) -> bool:
        """Read until level, all followers at once; False when stopped."""
        failures: list[BaseException] = []
        halt = threading.Event()

        def follow(follower: Follower) -> None:
            try:
                follow_to_the_end(follower, lambda: halt.is_set() or stopped.is_set())
            except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
                failures.append(error)
                halt.set()

        threads = [threading.Thread(target=follow, args=(f,)) for f in self._followers]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                threads[0].join(TICK_S)
                if not threads[0].is_alive():
                    threads.append(threads.pop(0))
                self.show(phase)
        finally:
            halt.set()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]
        return not stopped.is_set()

    def show(self, phase: str) -> None:
        """Tell how far it is."""
        events, total = self.events, self._total()
        rate = self.read / max(1e-6, time.monotonic() - self.began)
        eta_s = (total - events) / rate if self.read else None
        self._progress(Progress(self._build.build, phase, events, total, rate, eta_s))

    def _total(self) -> int:
        total = 0
        for source, place in self.places.items():
            end, live = self._ends[source], self._live.get(source)
            if live is not None and live.offset >= end:
                known = live.position
            elif 0 < place.offset < end:
                # Not every offset has a position: control records have none.
                known = place.position * end // place.offset
            else:
                known = place.position if place.offset >= end else end
            total += max(known, place.position)
        return total
