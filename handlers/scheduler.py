"""Around the fleet's decider: who is alive, what all know, and which plug-ins judge.

The monitor reads heartbeats and tells the decider, by commands, when a host has gone silent or
come back; what the decider makes of it are events like any other. It acts only while this process
owns the fleet's partition. Crash at any point: the next owner listens for as long as a host may
be silent before it says anything.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Protocol, TypeVar

import structlog

from commands.fleet.judges import (
    Filter,
    Judges,
    Weigher,
    enable,
    register_filter,
    register_weigher,
)
from commands.fleet.policy import Policy
from events import topics
from events.fleet.heartbeat import COMPUTE, SCHEDULER, Heartbeat
from events.fleet.host import Host
from events.fleet.request import SHARD
from events.host_proof import SITE, Unproved
from events.log.contract import LATEST, Log, LogError, Outgoing, Reader, Record
from events.log.records import BadRecord, Codec, headers
from events.message import Context, UnknownMessage
from handlers.features import Raiser
from handlers.heartbeat import heartbeat_record
from handlers.liveness import Liveness, Verdict
from schemas.catalog import UnknownSchema

SOURCE = (topics.HEARTBEATS, 0)
EVERY_S = 1.0
"""Between two judgements. In one turn all heartbeats that came since are read together."""
RETRY_S = 2.0


class Stop(Protocol):
    """As much of a ``threading.Event`` as the monitor needs."""

    def is_set(self) -> bool:
        """Whether to end."""

    def wait(self, timeout: float) -> bool:
        """Wait, at most so long; whether to end."""


Hosts = Callable[[], Mapping[str, Host] | None]
"""The hosts in the decider's state, a copy that nobody changes; None while this process does not
own the fleet's partition."""

T = TypeVar("T")

logger = structlog.get_logger("scheduler")


class BadPlugin(Exception):
    """An entry point that is no filter or weigher, or cannot be imported; says which and why."""


def load_plugins(policy: Policy) -> Judges:
    """Import all filters and weighers that are installed and enable those of the policy.

    Entry points of the groups ``chronova.filters`` and ``chronova.weighers`` name a
    ``commands.fleet.judges.Filter`` or ``Weigher``. Call it before the decider starts, in its
    own process. Raises ``BadPlugin``, or ``ValueError`` for a policy that names what is not there.
    """
    import_module("commands.fleet.scheduling")  # else the first placement waits for numpy, 0.1 s
    for filter in _loaded("chronova.filters", Filter):
        register_filter(filter)
    for weigher in _loaded("chronova.weighers", Weigher):
        register_weigher(weigher)
    return enable(policy)


def _loaded(group: str, kind: type[T]) -> list[T]:
    found = []
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        try:
            plugin = point.load()
        except (ImportError, AttributeError) as error:
            raise BadPlugin(f"{group}: {point.name} = {point.value}: {error}") from error
        if not isinstance(plugin, kind):
            raise BadPlugin(f"{group}: {point.name} = {point.value} is no {kind.__name__}")
        found.append(plugin)
    return found


class LivenessMonitor:
    """Reads heartbeats, sends ``ReportServiceDown`` and ``ReportServiceUp``. One thread's.

    ``clock`` is monotonic, in seconds: hosts' own clocks do not matter, only when they are heard.
    ``wall_clock`` (microseconds since 1970) and ``new_id`` are for the envelopes of commands.
    ``name``: the machine that the scheduler's own heartbeats (``nova-scheduler``) name.
    """

    def __init__(
        self,
        log: Log,
        codec: Codec,
        hosts: Hosts,
        *,
        name: str,
        version: str = "",
        service_down_time_s: float = 60.0,
        report_interval_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], int] = lambda: time.time_ns() // 1000,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        every_s: float = EVERY_S,
    ) -> None:
        self._log = log
        self._codec = codec
        self._hosts = hosts
        self._clock = clock
        self._wall_clock = wall_clock
        self._new_id = new_id
        self._every_s = every_s
        self._name = name
        self._version = version
        self._started_at = wall_clock()
        self._beat_at: float | None = None
        self._liveness = Liveness(service_down_time_s, report_interval_s)
        self._raiser = Raiser(log, codec, self._liveness.service_down_time_s)
        self._reader: Reader | None = None
        self._missed = 0
        """Heartbeats below this offset came while this process did not listen."""
        self._states: Mapping[str, Host] = {}
        self._up: dict[str, bool] = {}

    def run(self, stop: Stop) -> None:
        """Listen and judge until ``stop`` is set (looked at once a second).

        Whatever the log raises, it is tried again. Any other exception is a defect and is
        raised: the process must not go on without a judge.
        """
        try:
            while not stop.is_set():
                try:
                    self.step()
                    stop.wait(self._every_s)
                except LogError as error:
                    logger.warning("heartbeats cannot be read", reason=str(error))
                    self._drop()
                    stop.wait(RETRY_S)
        finally:
            self._drop()

    def step(self) -> None:
        """One turn: what has come in, then a judgement if nothing is left unread.

        Raises ``LogError``: heartbeats may have been missed, and the next turn knows it.
        """
        hosts = self._hosts()
        if hosts is None:
            self._drop()
            return
        if self._reader is None:
            self._reader = self._log.reader({SOURCE: self._start()})
            self._missed = self._reader.ends().get(SOURCE, 0)
        if not self._listened(self._reader, hosts):
            return
        hosts = self._hosts()
        if hosts is None:
            self._drop()
            return
        self._beat()
        self._follow(hosts)
        self._say(self._liveness.judge(self._clock(), self._up))
        self._raiser.step(self._up, self._wall_clock())

    def _start(self) -> int:
        """Where reading begins: before the last goodbyes that nobody may have listened to."""
        since = self._wall_clock() - int(self._liveness.service_down_time_s * 1e6)
        offset = self._log.offset_at(SOURCE, max(0, since))
        return LATEST if offset is None else offset

    def _listened(self, reader: Reader, hosts: Mapping[str, Host]) -> bool:
        """Hear all that there is; whether nothing is left."""
        end = reader.ends().get(SOURCE, 0)
        wait_s = 0.0
        while True:
            before = self._clock()
            records = reader.poll(wait_s)
            for record in records:
                self._hear(record, before, hosts)
            if reader.positions().get(SOURCE, 0) >= end:
                return True
            if wait_s and not records:
                return False
            wait_s = self._every_s

    def _follow(self, hosts: Mapping[str, Host]) -> None:
        """Note which hosts count as up; only those whose state is another one are looked at."""
        known, self._states = self._states, hosts
        for name in known.keys() - hosts.keys():
            self._up.pop(name, None)
        for name, host in hosts.items():
            if known.get(name) is not host:
                if host.deleted:
                    self._up.pop(name, None)
                else:
                    self._up[name] = host.up

    def _hear(self, record: Record, now: float, hosts: Mapping[str, Host]) -> None:
        try:
            beat = self._codec.decode(record.value)
        except (BadRecord, UnknownMessage, UnknownSchema) as error:
            logger.warning("a heartbeat cannot be read", key=record.key, reason=str(error))
            return
        if not isinstance(beat, Heartbeat) or beat.binary != COMPUTE:
            return
        host = hosts.get(beat.host)
        try:
            SITE.check(record, beat, "" if host is None or host.deleted else host.public_key)
        except Unproved:
            return  # the process has counted and logged it
        if record.offset < self._missed and not beat.ending:
            self._liveness.heard_before(beat.host)
        elif beat.ending:
            self._liveness.ended(beat.host, now)
        else:
            self._liveness.heard(beat.host, now)

    def _beat(self) -> None:
        """The scheduler's own sign of life, every ``report_interval``."""
        now = self._clock()
        if self._beat_at is not None and now - self._beat_at < self._liveness.report_interval_s:
            return
        self._beat_at = now
        beat = Heartbeat(
            host=self._name,
            binary=SCHEDULER,
            at=self._wall_clock(),
            started_at=self._started_at,
            version=self._version,
            level=self._codec.levels.known,
        )
        self._log.append([heartbeat_record(self._codec, beat, self._new_id())])

    def _say(self, verdicts: Sequence[Verdict]) -> None:
        if verdicts:
            self._log.append([self._command(verdict) for verdict in verdicts])
            for verdict in verdicts:
                logger.info(verdict.type_name, host=verdict.host)

    def _command(self, verdict: Verdict) -> Outgoing:
        context = Context(id=self._new_id(), time=self._wall_clock())
        made = headers(context, verdict.type_name, "/chronova/scheduler")
        return Outgoing(topics.commands("fleet"), SHARD, self._codec.encode(verdict), made)

    def _drop(self) -> None:
        self._liveness.deaf()
        reader, self._reader = self._reader, None
        for one in (reader, self._raiser):
            try:
                if one is not None:
                    one.close()
            except LogError as error:
                logger.warning("the heartbeats' reader did not close", reason=str(error))
