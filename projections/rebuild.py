"""Rebuild: all tables anew from the log, beside the live ones, then an atomic switch.

Phases: ``reading`` (several partitions at once), ``indexing``, ``verifying``, ``switching``. The
new build's positions are in its own schema, so a rebuild that was interrupted, by Ctrl-C or a
crash, is taken up where it was. Reads go on from the live build all the time; its projector
stands still only while the last few events are caught up for the switch.

The switch happens only when the new build holds exactly as many events of each partition as its
position says. Rows that differ from the live build's at the same sequence are counted and
reported, not refused: repairing them is what a rebuild is for.

A live build that has read more than the log now holds (it was restored from an older copy) is
overtaken by a build that is level with the log. What the new build could not take is reported
(``set_aside``, ``waiting``). It takes the place of one of the same version only where no partition
of it waits before that one's place: else nothing would be gained.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import msgspec

from events.log.contract import Log, TopicPartition
from events.log.records import Codec
from projections import aside, builds, bulk, verify
from projections.builds import LIVE_SCHEMA, Build
from projections.connection import Connection, connect
from projections.crew import TICK_S, Crew, Progress
from projections.failures import (
    BuildUnderWay,
    ChainBroken,
    ProjectionAhead,
    ProjectionError,
)
from projections.follower import Follower, event_sources
from projections.garbage import rare_collections
from projections.model import ReadModel, read_model
from projections.sessions import at_once

__all__ = ["Progress", "Rebuild", "Rebuilt", "rebuild"]

PARALLEL = 2
"""Threads: while one waits for Postgres, another folds (13,500 → 15,700 events/s, measured on two
busy cores). The fold itself is Python's, so more of them gain little."""

RECORDS_MAX = 1000
"""Events in a transaction. Larger texts are allocated anew each time, by both sides (146 → 114 µs
of CPU for an event, measured, against batches of 5,000)."""
STATES_MAX = 20_000
SWITCH_S_MAX = 30.0
HANDED_OVER_S = 3.0
"""How long the new build is held until the projector of the old one asks for it. A projector
looks once a second whether its build is live."""


class Rebuilt(msgspec.Struct, frozen=True):
    """What a rebuild came to. ``read``: events read in this run; ``differing``: rows that were
    otherwise in the build that was live before (None: it was of another version). ``set_aside``:
    how many aggregates have no right row; ``waiting``: why partitions wait."""

    build: int
    events: int
    read: int
    seconds: float
    replaced: int | None
    differing: dict[str, int] | None
    set_aside: int = 0
    waiting: list[str] = []


def ignore(progress: Progress) -> None:
    """Show nothing."""


def rebuild(
    log: Log,
    database_url: str,
    progress: Callable[[Progress], None] = ignore,
    opener: bulk.Opener | None = None,
) -> Rebuilt | None:
    """Rebuild and switch. Ctrl-C ends it cleanly and the next call goes on from there.

    Raises ``ProjectionError``, ``LogError`` or what ``connection.GONE`` names.
    """
    return Rebuild(log, database_url, opener=opener).run(progress)


class _NotOfThisLog(Exception):
    """A half-made build was made from what the log no longer holds: begin a new one."""


class Rebuild:
    """One rebuild. ``parallel``: threads that read; ``records_max``: events in a transaction;
    ``only_missing``: do nothing where a build of this version is live. ``opener``: opens the same
    log anew; with it a long log is read by several processes (of the installation's model)."""

    def __init__(
        self,
        log: Log,
        database_url: str,
        *,
        model: ReadModel | None = None,
        codec: Codec | None = None,
        parallel: int = PARALLEL,
        records_max: int = RECORDS_MAX,
        only_missing: bool = False,
        opener: bulk.Opener | None = None,
    ) -> None:
        self._log = log
        self._url = database_url
        self._model = model or read_model()
        self._codec = codec or Codec()
        self._parallel = parallel
        self._records_max = records_max
        self._only_missing = only_missing
        self._opener = opener
        self._stopped = threading.Event()

    def run(
        self,
        progress: Callable[[Progress], None] = ignore,
        stopped: threading.Event | None = None,
    ) -> Rebuilt | None:
        """Build, verify, switch; None when ``stopped`` was set on the way, or nothing is missing.
        Raises ``BuildUnderWay`` and what ``rebuild`` does."""
        self._stopped = stopped or threading.Event()
        control = connect(self._url, "rebuild")
        try:
            builds.install(control)
            with builds.choosing(control):
                if self._nothing_missing(builds.live_build(control)):
                    return None
                self._hold_all(control)
                # Whoever made them may have become level meanwhile: only now nobody moves.
                live = builds.live_build(control)
                if self._nothing_missing(live):
                    return None
                build, begun = self._build(control)
            with rare_collections():
                try:
                    return self._run(control, live, build, progress, begun)
                except _NotOfThisLog:
                    builds.drop(control, build)
                    builds.release(control, build.build)
                    with builds.choosing(control):
                        build, _ = self._build(control)
                    return self._run(control, live, build, progress, begun=False)
        finally:
            control.close()

    def _hand_over(self, control: Connection, build: Build) -> None:
        """Hold the new build until a projector waits for it: it is followed all the time."""
        deadline = time.monotonic() + HANDED_OVER_S
        while not builds.followers(control, build.build, granted=False):
            if self._stopped.wait(TICK_S) or time.monotonic() > deadline:
                return

    def _nothing_missing(self, live: Build | None) -> bool:
        version = self._model.version()
        return self._only_missing and live is not None and live.version == version

    def _hold_all(self, control: Connection) -> None:
        """All half-made builds are ours from now on. Raises ``BuildUnderWay``."""
        held = [build for build in builds.builds(control) if build.state == "building"]
        for build in held:
            if not builds.hold(control, build.build, 0.01):
                raise BuildUnderWay(f"another process is making build {build.build} already")
        made = {build.build for build in builds.builds(control) if build.state == "building"}
        for build in held:
            if build.build not in made:
                builds.release(control, build.build)

    def _build(self, control: Connection) -> tuple[Build, bool]:
        """The build to go on with: a half-made one of this version, or a new one; whether it was
        begun before."""
        identity, version = self._log.identity(), self._model.version()
        mine: Build | None = None
        for build in builds.builds(control):
            if build.state != "building":
                continue
            if (build.version, build.log) == (version, identity) and mine is None:
                mine = build
            else:
                builds.drop(control, build)
                builds.release(control, build.build)
        if mine is not None:
            return mine, True
        sources = event_sources(self._log, self._model)
        mine = builds.create(control, self._model, identity, sources)
        builds.hold(control, mine.build, TICK_S)
        return mine, False

    def _run(
        self,
        control: Connection,
        live: Build | None,
        build: Build,
        progress: Callable[[Progress], None],
        begun: bool,
    ) -> Rebuilt | None:
        crew = Crew(
            [self._follower(build, n) for n in range(self._parallel)],
            build,
            builds.places(control, live.schema) if live else {},
            progress,
        )
        try:
            self._open(crew, begun)
            self._read_most(control, build, crew)
            if not crew.catch_up(self._stopped, "reading"):
                return None
            if begun and any(isinstance(e, ChainBroken) for e in crew.waiting.values()):
                raise _NotOfThisLog
            crew.show("indexing")
            differing = self._complete(live, build)
            if not crew.catch_up(self._stopped, "indexing"):
                return None
            crew.show("verifying")
            verify.check_counts(control, build)
            crew.show("switching")
            followed = live is not None and builds.followers(control, live.build) > 0
            self._switch(control, live, build, crew)
            if followed:
                self._hand_over(control, build)
            crew.show("done")
        finally:
            crew.close()
        return Rebuilt(
            build.build,
            crew.events,
            crew.read,
            time.monotonic() - crew.began,
            live.build if live else None,
            differing,
            aside.count(control, LIVE_SCHEMA),
            [one.error for one in aside.waiting(control, LIVE_SCHEMA)],
        )

    def _open(self, crew: Crew, begun: bool) -> None:
        try:
            crew.open()
        except ProjectionAhead:
            if begun:
                raise _NotOfThisLog from None
            raise

    def _read_most(self, control: Connection, build: Build, crew: Crew) -> None:
        """Where there is much to read, read it in processes of its own."""
        unread = crew.unread()
        if self._opener is None or self._model is not read_model():
            return
        if sum(unread.values()) < bulk.EVENTS_MIN:
            return
        crew.close()

        def show() -> None:
            crew.reached(builds.places(control, build.schema))
            crew.show("reading")

        limits = (self._records_max, STATES_MAX)
        bulk.read_in_processes(self._opener, self._url, build, unread, *limits, self._stopped, show)
        crew.open()

    def _complete(self, live: Build | None, build: Build) -> dict[str, int] | None:
        """The indexes; meanwhile compare with the live build, if that is of the same version."""
        work: list[Callable[[Connection], int]] = [
            partial(_execute, statement) for statement in builds.indexes(self._model, build)
        ]
        tables: list[str] = []
        if live is not None and live.version == build.version:
            tables = [str(projected.table.name) for projected in self._model.projected.values()]
            work += [
                partial(verify.differing_rows, table=table, one=live, other=build)
                for table in tables
            ]
        counts = at_once(self._url, work)[len(work) - len(tables) :]
        found = dict(zip(tables, counts, strict=True))
        return {table: n for table, n in found.items() if n} if tables else None

    def _follower(self, build: Build, number: int) -> Follower:
        sources = event_sources(self._log, self._model)
        return Follower(
            self._log,
            self._url,
            build,
            sources[number :: self._parallel],
            self._model,
            codec=self._codec,
            followed=number == 0,
            records_max=self._records_max,
            states_max=STATES_MAX,
        )

    def _switch(self, control: Connection, live: Build | None, build: Build, crew: Crew) -> None:
        """With the live build standing still, overtake it and take its place."""
        deadline = time.monotonic() + SWITCH_S_MAX
        try:
            frozen = builds.freeze(control, live) if live is not None else {}
            while behind := {s for s, at in frozen.items() if not crew.overtook(s, at.offset)}:
                if waiting := behind & crew.waiting.keys():
                    _refuse_to_lose(live, build, crew, waiting)
                    frozen = {s: at for s, at in frozen.items() if s not in waiting}
                    continue
                if time.monotonic() > deadline:
                    raise ProjectionError(
                        f"build {build.build} did not overtake the live build within"
                        f" {SWITCH_S_MAX:g} s: nothing was switched, rebuild again"
                    )
                crew.step(TICK_S)
            if live is None:
                builds.begin(control)
            builds.switch(control, live, build)
        except BaseException:
            builds.rollback(control)
            raise


def _refuse_to_lose(
    live: Build | None, build: Build, crew: Crew, waiting: set[TopicPartition]
) -> None:
    """Raises ``ProjectionError`` where the live build shows more than the new one would."""
    if live is None or live.version != build.version:
        return
    reason = crew.waiting[min(waiting)]
    raise ProjectionError(
        f"build {build.build} cannot take the place of the live one, which has more: {reason}"
    )


def _execute(statement: str, connection: Connection) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement)
    return 0
