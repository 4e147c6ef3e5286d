"""The projector: keeps the live build level with the log, for ever.

One follows, any others of the same version stand by (an advisory lock of the build, held by the
follower's session) and take over when its session ends. When there is no live build of this
version, one is built beside (``rebuild``) and switched to; reads go on meanwhile.

Postgres or the log away: it is tried again after a pause, from where the tables are. A log that
is not the projection's own, or ends before it, or has a gap, ends ``run`` with a sentence.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from events.log.contract import Log, LogError, TopicPartition
from events.log.pace import Pace
from events.log.records import Codec
from projections import builds
from projections.builds import Build, Places
from projections.bulk import Opener
from projections.connection import GONE, Connection, connect, sentence
from projections.failures import BuildUnderWay, ProjectionSuperseded, ProjectorFenced
from projections.fold import Batch
from projections.follower import Follower, event_sources
from projections.model import ReadModel, read_model
from projections.rebuild import Progress, Rebuild

IDLE_S = 1.0
"""How long one poll waits."""
TURN_S = 5.0
"""How long a projector that stands by waits before it looks again which build is live."""

PAUSE_S_MIN, PAUSE_S_MAX = 0.1, 2.0

LEVEL_EVERY_S = 60.0
"""How often it is found out that the tables have all that the log had at some moment."""

logger = structlog.get_logger("projector")


class Listener(Protocol):
    """Told of what the live tables show. On the projector's thread: it must return at once."""

    def committed(self, batch: Batch) -> None:
        """A batch shows. Told at most once: not again after a crash in between."""

    def level(self, since_s: float, places: Places) -> None:
        """All that was appended before this moment (seconds since 1970) shows, in tables that are
        so far."""


class Projector:
    """Projects ``log`` into the database at ``database_url`` until stopped.

    ``observe(events, seconds)`` is called after each batch, for metrics: how many events, and
    how long ago the newest of them was appended. ``opener``: see ``Rebuild``.
    """

    def __init__(
        self,
        log: Log,
        database_url: str,
        *,
        model: ReadModel | None = None,
        codec: Codec | None = None,
        records_max: int = 1000,
        states_max: int = 5000,
        observe: Callable[[int, float], None] | None = None,
        progress: Callable[[Progress], None] | None = None,
        opener: Opener | None = None,
        listener: Listener | None = None,
    ) -> None:
        self._log = log
        self._url = database_url
        self._model = model or read_model()
        self._codec = codec or Codec()
        self._records_max = records_max
        self._states_max = states_max
        self._observe = observe
        self._progress = progress or (lambda progress: None)
        self._opener = opener
        self._listener = listener
        self._goal: tuple[float, Mapping[TopicPartition, int]] | None = None
        self._goal_set = float("-inf")
        self._stopped = threading.Event()
        self._follower: Follower | None = None
        self._pause_s = PAUSE_S_MIN

    def stop(self) -> None:
        """From any thread: let ``run`` return after the batch under way. No signal handler may
        call it, because it takes locks."""
        self._stopped.set()
        follower = self._follower
        if follower is not None:
            follower.wake()

    def run(self) -> None:
        """Project until ``stop``. Raises ``ProjectionError`` for what trying again cannot mend."""
        while not self._stopped.is_set():
            try:
                self._serve(self._live_build())
            except ProjectorFenced as error:
                logger.info("projector_fenced", reason=str(error))
                self._pause()
            except BuildUnderWay as error:
                logger.info("projector_waits", reason=str(error))
                self._pause()
            except (LogError, *GONE) as error:
                logger.warning("projector_waits", reason=sentence(error))
                self._pause()

    def _live_build(self) -> Build | None:
        """The live build of this version, made first if there is none; None: stopped."""
        connection = connect(self._url, "projector-start")
        try:
            builds.install(connection)
            live = builds.live_build(connection)
        finally:
            connection.close()
        if live is not None and live.version == self._model.version():
            return live
        if live is not None and self._follower is not None:
            raise ProjectionSuperseded(
                f"build {live.build} is live now and made by another version of Chronova"
                f" ({live.version}): this projector's version is {self._model.version()}"
            )
        logger.info("projection_build", version=self._model.version())
        rebuild = Rebuild(
            self._log,
            self._url,
            model=self._model,
            codec=self._codec,
            only_missing=True,
            opener=self._opener,
        )
        rebuild.run(self._progress, self._stopped)
        return None

    def _serve(self, build: Build | None) -> None:
        if build is None:
            return
        follower = self._follower = Follower(
            self._log,
            self._url,
            build,
            event_sources(self._log, self._model),
            self._model,
            codec=self._codec,
            live=True,
            followed=True,
            records_max=self._records_max,
            states_max=self._states_max,
            committed=self._listener.committed if self._listener is not None else None,
        )
        self._goal = None
        try:
            if not self._held(follower.connect(), build):
                return
            follower.open()
            logger.info("projector_follows", build=build.build)
            pace = Pace()
            while not self._stopped.is_set():
                self._tell_level(follower)
                pace.pause()
                events = follower.step(IDLE_S)
                pace.took(events)
                self._observed(events, follower)
                self._pause_s = PAUSE_S_MIN
        finally:
            follower.close()

    def _held(self, connection: Connection, build: Build) -> bool:
        """Wait for one's turn; False: stopped, or look again which build is live."""
        return not self._stopped.is_set() and builds.hold(connection, build.build, TURN_S)

    def _observed(self, events: int, follower: Follower) -> None:
        if events and self._observe is not None:
            self._observe(events, time.time() - follower.newest / 1e6)

    def _tell_level(self, follower: Follower) -> None:
        if self._listener is None:
            return
        if self._goal is None:
            if time.monotonic() - self._goal_set < LEVEL_EVERY_S:
                return
            self._goal_set = time.monotonic()
            self._goal = (time.time(), follower.ends())
        since_s, ends = self._goal
        if follower.holds(ends):
            self._goal = None
            self._listener.level(since_s, dict(follower.places))

    def _pause(self) -> None:
        self._stopped.wait(self._pause_s * random.uniform(0.5, 1.0))
        self._pause_s = min(PAUSE_S_MAX, self._pause_s * 2)
