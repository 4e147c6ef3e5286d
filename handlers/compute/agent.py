"""The host agent: makes real on its hosts what the log says, and reports what is real.

It reads its hosts' topics of work by direct assignment, performs the work, and writes what it has
to report together with its input offset in one transaction.
Killed anywhere, it starts again at the first piece that was not yet reported, looks at reality
first, and converges. An earlier agent of the same name is fenced.

One agent serves one host with libvirt, or any number of simulated hosts.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog

from commands.compute.guest import GuestWork
from commands.compute.power_state import ReportPowerState
from events import topics
from events.log.contract import (
    Fenced,
    Log,
    LogError,
    LogUnavailable,
    Outgoing,
    Record,
    TopicMismatch,
)
from events.log.records import BadRecord, Codec, context_of, headers
from events.message import Command, Context, UnknownMessage
from handlers.compute.drivers.contract import Driver, DriverError, LifecycleEvent
from handlers.compute.performing import PERFORMANCES, Fetch, Hands, Superseded
from handlers.compute.queues import Offsets, Piece, Pool, Queues
from schemas.catalog import UnknownSchema

PENDING_MAX = 1000
"""Servers with work in hand; beyond it nothing more is read until some is done."""

TRANSIENT_TRIES = 4
TRANSIENT_PAUSE_S = 1.0
IDLE_S = 1.0

logger = structlog.get_logger("agent")


class Watcher(Protocol):
    """Told what happens, for metrics. From any thread."""

    def work(self, kind: str, outcome: str, seconds: float) -> None:
        """A piece of work ended: done, failed or superseded."""

    def pending(self, servers: int) -> None:
        """How many servers have work queued or under way."""


class Unwatched:
    """Counts nothing."""

    def work(self, kind: str, outcome: str, seconds: float) -> None:
        """Nothing."""

    def pending(self, servers: int) -> None:
        """Nothing."""


class Agent:
    """Serves ``hosts`` (driver by host name). ``step`` is one turn of the loop; one thread's.

    ``threads``: servers worked on at once; 0: each piece at once in the loop's thread, for
    drivers that never wait. ``pool``: what works instead of threads, also on what the hypervisor
    tells by itself. ``pause(seconds)`` returns early when the agent is to stop.
    """

    def __init__(
        self,
        log: Log,
        name: str,
        hosts: Mapping[str, Driver],
        fetch: Fetch,
        *,
        threads: int,
        clock: Callable[[], int],
        pause: Callable[[float], object],
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        codec: Codec | None = None,
        pool: Pool | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self._log = log
        self._name = name
        self._watcher = watcher or Unwatched()
        self._hosts = dict(hosts)
        self._fetch = fetch
        self._clock = clock
        self._pause = pause
        self._new_id = new_id
        self._codec = codec or Codec()
        served = sorted(hosts)
        for host in served:
            have_topic(log, host)
        self._worker = log.fixed(f"agent.{name}", [(topics.dispatch(host), 0) for host in served])
        self._pool = pool
        self._queues = Queues(self._perform, threads, pool)
        self._offsets = Offsets()
        self._committed: dict[tuple[str, int], int] = {}
        self._outbox: deque[Outgoing] = deque()
        self._loop_thread: int | None = None
        self._adrift = False
        for driver in self._hosts.values():
            driver.listen(self._on_lifecycle(driver))

    # ------------------------------------------------------------ the loop

    def step(self, wait_s: float = IDLE_S) -> int:
        """Read work, hand it out, write what was reported; how many records were read.

        Raises ``LogUnavailable`` when the log is away, ``Fenced`` when another agent of this name
        has taken over: then this one must end.
        """
        self._loop_thread = threading.get_ident()
        try:
            if self._adrift:
                self._worker.rewind()
                self._adrift = False
            read = 0
            if self._queues.pending() < PENDING_MAX:
                polled = self._worker.poll(0.0 if self._outbox else wait_s)
                for source in polled.assigned:
                    self._worker.ready(source)
                self._take(polled.records)
                read = len(polled.records)
            else:
                self._pause(0.05)
            self._watcher.pending(self._queues.pending())
            self._flush()
            return read
        except LogUnavailable:
            # Only a rewind that succeeded gives the work again whose offsets are forgotten here.
            self._offsets.clear()
            self._adrift = True
            raise

    def wake(self) -> None:
        """From any thread: let a waiting ``step`` return now."""
        self._worker.wake()

    def close(self) -> None:
        """Finish what is under way, report it, let go of the hypervisors."""
        self._queues.close()
        try:
            self._flush()
        except LogError as error:
            logger.warning("not_reported", reason=str(error))
        self._worker.close()
        for driver in self._hosts.values():
            driver.close()

    def _take(self, records: Sequence[Record]) -> None:
        pieces = []
        for record in records:
            piece = self._piece(record)
            self._offsets.begin(record.source, record.offset, piece is not None)
            if piece is not None:
                pieces.append(piece)
        self._queues.put(pieces)

    def _piece(self, record: Record) -> Piece | None:
        host = record.key
        if record.topic != topics.dispatch(host):
            return None
        try:
            work = self._codec.decode(record.value)
            context = context_of(record)
        except (BadRecord, UnknownMessage, UnknownSchema) as error:
            logger.error("unreadable_work", offset=record.offset, reason=str(error))
            return None
        if not isinstance(work, GuestWork) or work.type_name not in PERFORMANCES:
            logger.error("unknown_work", offset=record.offset, work=work.type_name)
            return None
        return Piece(record.source, record.offset, host, context, work)

    def _flush(self) -> None:
        offsets = {s: n for s, n in self._offsets.done().items() if self._committed.get(s) != n}
        reports = list(self._outbox)
        if not reports and not offsets:
            return
        self._worker.transact(reports, offsets)
        self._committed.update(offsets)
        for _ in reports:
            self._outbox.popleft()

    # --------------------------------------------------------- performing

    def _perform(self, piece: Piece) -> None:
        began = time.perf_counter()
        outcome = self._performed(piece)
        self._watcher.work(piece.work.type_name, outcome, time.perf_counter() - began)
        self._offsets.end(piece.source, piece.offset)
        self._wake_loop()

    def _performed(self, piece: Piece) -> str:
        """Perform a piece, report it, and say how it ended: done, failed or superseded."""
        work = piece.work
        logs = logger.bind(server=work.server_id, request_id=piece.context.request_id)
        perform, failed = PERFORMANCES[work.type_name]
        hands = Hands(
            work,
            self._hosts[piece.host],
            self._fetch,
            lambda report: self._report(report, piece.context),
            lambda: self._queues.superseded(piece),
        )
        try:
            hands.proceed()
            self._persist(lambda: perform(work, hands), hands)
        except Superseded:
            logs.info("superseded", work=work.type_name)
            return "superseded"
        except DriverError as error:
            logs.warning("work_failed", work=work.type_name, reason=str(error))
            reason = str(error)
        except Exception as error:
            logs.exception("work_failed", work=work.type_name)
            reason = f"{type(error).__name__}: {error}"
        else:
            return "done"
        self._say_failed(lambda: failed(work, hands, reason))
        return "failed"

    def _persist(self, perform: Callable[[], None], hands: Hands) -> None:
        """Perform; a transient failure is tried again a few times, unless superseded."""
        for attempt in range(1, TRANSIENT_TRIES):
            try:
                return perform()
            except DriverError as error:
                if not error.transient:
                    raise
                logger.info("transient", attempt=attempt, reason=str(error))
            self._pause(TRANSIENT_PAUSE_S * attempt)
            hands.proceed()
        return perform()

    def _say_failed(self, say: Callable[[], None]) -> None:
        try:
            say()
        except DriverError as error:
            logger.error("failure_not_reported", reason=str(error))

    # ----------------------------------------------------------- reporting

    def _report(self, report: Command, cause: Context) -> None:
        """Queue a report. Its id follows from its cause, so a repetition is decided only once."""
        envelope = cause.follow(f"{cause.id}:{report.type_name}", cause.id, self._clock())
        self._send(report, envelope)

    def _send(self, report: Command, envelope: Context) -> None:
        made = headers(envelope, report.type_name, f"/chronova/agent/{self._name}")
        key: str = report.project_id  # type: ignore[attr-defined]
        topic = topics.reports(report.type_domain)
        self._outbox.append(Outgoing(topic, key, self._codec.encode(report), made))
        self._wake_loop()

    def _wake_loop(self) -> None:
        if self._pool is not None or threading.get_ident() != self._loop_thread:
            self._worker.wake()

    def _on_lifecycle(self, driver: Driver) -> Callable[[str, LifecycleEvent], None]:
        def happened(server_id: str, event: LifecycleEvent) -> None:
            if self._queues.busy(server_id):
                return
            if self._pool is not None:
                self._pool.submit(self._look_at, driver, server_id)
                return
            look = threading.Thread(target=self._look_at, args=(driver, server_id), daemon=True)
            look.start()

        return happened

    def _look_at(self, driver: Driver, server_id: str) -> None:
        try:
            self.report_power(driver, server_id)
        except DriverError as error:
            logger.warning("power_unknown", server=server_id, reason=str(error))

    def sync_power(self) -> int:
        """Report the power state of every guest there is; how many. Called now and then."""
        count = 0
        for driver in self._hosts.values():
            for server_id in driver.power_states():
                if not self._queues.busy(server_id):
                    self.report_power(driver, server_id)
                    count += 1
        return count

    def report_power(self, driver: Driver, server_id: str) -> None:
        """Read and report one guest's power state."""
        project_id = driver.project_id(server_id)
        generation = driver.generation(server_id)
        if project_id is None or generation is None:
            return
        report = ReportPowerState(
            server_id=server_id,
            project_id=project_id,
            generation=generation,
            host=driver.host,
            power_state=int(driver.power_state(server_id)),
        )
        now = self._clock()
        id = f"{self._new_id()}:{report.type_name}"
        self._send(report, Context(id=id, time=now, project_id=project_id))


def have_topic(log: Log, host: str) -> None:
    """Make the topic of a host's work if it is missing. Raises ``LogError`` with what to do where
    only an administrator may; ``ValueError`` for a name that no topic can have."""
    wanted = topics.of_host(host)
    try:
        log.partitions(wanted.name)
    except TopicMismatch:
        try:
            log.create_topics([wanted])
        except LogError as error:
            raise type(error)(
                f"the topic {wanted.name} is missing and could not be made ({error}); where hosts"
                f" may make none, the administrator's `chronova topics --host {host}` does"
            ) from error


def run(agent: Agent, stopped: Callable[[], bool], pause: Callable[[float], object]) -> None:
    """Step until ``stopped()``. Raises ``Fenced`` when another agent of this name took over."""
    while not stopped():
        try:
            agent.step()
        except Fenced:
            raise
        except LogError as error:
            logger.warning("log_away", reason=str(error))
            pause(0.5)
