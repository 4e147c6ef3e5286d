"""Raising the feature level: who is there, what each one knows, and the two records that say it.

The owner of the fleet's journal does it, and only while its version knows a level that the log has
not enabled. Of two owners both may: a level that was written twice is as high as before.

No process that knows less can be at work when a level is enabled. It announces itself before it
looks which level is required; here that is written first, and then who is there is read once more.
So either it saw that it may not start, or it is seen here, and waited for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing

import msgspec
import structlog

from events.features import LOWEST, FeaturesEnabled, FeaturesRequired
from events.fleet.heartbeat import COMPUTE, SCHEDULER, Heartbeat
from events.host_proof import SITE, Unproved
from events.log.contract import Log, Outgoing, Reader, Record
from events.log.records import BadRecord, Codec, headers
from events.message import Context, UnknownMessage
from events.topics import FEATURES, HEARTBEATS
from schemas.catalog import UnknownSchema

SOURCE = (HEARTBEATS, 0)
EVERY_S = 2.0
"""Between two looks whether the level can be raised."""
POLL_S = 0.5
POLLS_MAX = 40
"""What is not read then is read at the next look."""
NAMES_MAX = 100
"""Most members that a record names."""

Member = tuple[str, str, str]
"""Binary, host, and the process where a host may run several."""

logger = structlog.get_logger("features")


class Heard(msgspec.Struct, frozen=True):
    """The last heartbeat of a member. ``at``: when the log took it, microseconds."""

    level: int
    at: int
    ending: bool


class Members:
    """Who was heard of late. One that said that it ends is gone, and so is one that is silent."""

    def __init__(self) -> None:
        self._heard: dict[Member, Heard] = {}

    def hear(self, beat: Heartbeat, at: int) -> None:
        """A heartbeat came in. The scheduler is a thread of a process that speaks for itself."""
        if beat.binary != SCHEDULER:
            member = (beat.binary, beat.host, beat.process)
            self._heard[member] = Heard(beat.level, at, beat.ending)

    def forget(self, before: int) -> None:
        """Drop those that were not heard since."""
        self._heard = {member: one for member, one in self._heard.items() if one.at >= before}

    def live(self) -> dict[Member, int]:
        """Return the level that each member knows which has not ended."""
        return {member: one.level for member, one in self._heard.items() if not one.ending}

    def refused(self, required: int) -> list[str]:
        """Return who came with a version that is too old, and did not start."""
        return sorted(
            name_of(member, one.level)
            for member, one in self._heard.items()
            if one.ending and one.level < required
        )

    def holding_back(self, level: int, hosts: Iterable[str]) -> list[str]:
        """Return who does not know ``level``, or has not said so: of those who live, and of
        ``hosts``, which count as up."""
        live = self.live()
        silent = [(COMPUTE, host, "") for host in hosts if (COMPUTE, host, "") not in live]
        return sorted(
            [
                *(name_of(member, known) for member, known in live.items() if known < level),
                *(name_of(member, None) for member in silent),
            ]
        )

    def agreed(self, known: int, hosts: Iterable[str]) -> int:
        """Return the highest level up to ``known`` that nobody holds back. Who asks has sent a
        heartbeat: where none is heard, nothing is known."""
        live = self.live()
        level = min([known, *live.values()])
        return LOWEST if not live or self.holding_back(level, hosts) else level


def name_of(member: Member, level: int | None) -> str:
    """Return a member's name and what it knows, for people."""
    binary, host, process = member
    name = f"{binary} on {host}" + (f" (process {process})" if process else "")
    return f"{name}: not heard" if level is None else f"{name}: level {level}"


class Heartbeats:
    """Follows the heartbeats, from those of the last ``window_us`` on. One thread's.

    Time is the log's own, that of the newest heartbeat: no machine's clock decides who is gone.
    """

    def __init__(self, log: Log, codec: Codec, window_us: int) -> None:
        self._log = log
        self._codec = codec
        self._window = window_us
        self._reader: Reader | None = None
        self._newest = 0
        self.members = Members()

    def listen(self) -> bool:
        """Hear all that there is; whether nothing is left. Raises ``LogError``."""
        if self._reader is None:
            self._reader = self._log.reader({SOURCE: self._start()})
        end = self._reader.ends().get(SOURCE, 0)
        for _ in range(POLLS_MAX):
            if self._reader.positions().get(SOURCE, 0) >= end:
                self.members.forget(self._newest - self._window)
                return True
            for record in self._reader.poll(POLL_S):
                self._hear(record)
        return False

    def close(self) -> None:
        """Release the reader; who is there has to be heard once more."""
        reader, self._reader = self._reader, None
        self.members = Members()
        if reader is not None:
            reader.close()

    def _start(self) -> int:
        """Where the window begins that ends with the newest heartbeat."""
        end = self._log.ends([SOURCE])[SOURCE]
        with closing(self._log.reader({SOURCE: max(0, end - 1)})) as reader:
            newest = reader.poll(POLL_S, 1) if end else ()
        if not newest:
            return 0
        return self._log.offset_at(SOURCE, newest[0].timestamp - self._window) or 0

    def _hear(self, record: Record) -> None:
        self._newest = max(self._newest, record.timestamp)
        try:
            beat = self._codec.decode(record.value)
        except (BadRecord, UnknownMessage, UnknownSchema) as error:
            logger.warning("a heartbeat cannot be read", key=record.key, reason=str(error))
            return
        if not isinstance(beat, Heartbeat):
            return
        try:
            SITE.check(record, beat)
        except Unproved:
            return  # the process has counted and logged it
        self.members.hear(beat, record.timestamp)


class Raiser:
    """Raises the level of a log. One thread's; ``codec.levels`` says what this process knows."""

    def __init__(self, log: Log, codec: Codec, window_s: float) -> None:
        self._log = log
        self._codec = codec
        self._beats = Heartbeats(log, codec, int(window_s * 1_000_000))
        self._looked_at = 0

    def step(self, hosts: Mapping[str, bool], now: int) -> None:
        """Look, now and then, and raise it if that can be done. Raises ``LogError``.

        ``hosts``: those of the fleet, and whether each counts as up. ``now``: microseconds.
        """
        if 0 <= now - self._looked_at < EVERY_S * 1_000_000:
            return
        self._looked_at = now
        levels = self._codec.levels
        if levels.look().enabled >= levels.known:
            self._beats.close()
            return
        up = [host for host, is_up in hosts.items() if is_up]
        level = self._agreed(up)
        if level > levels.reached.required:
            self._write(FeaturesRequired(level=level, at=now, members=self._names()))
            level = self._agreed(up)
        required = levels.look().required
        if levels.reached.enabled < required <= level:
            self._write(FeaturesEnabled(level=required, at=now, members=self._names()))
            levels.look()

    def close(self) -> None:
        """Stop listening."""
        self._beats.close()

    def _agreed(self, hosts: Iterable[str]) -> int:
        if not self._beats.listen():
            return LOWEST
        return self._beats.members.agreed(self._codec.levels.known, hosts)

    def _names(self) -> list[str]:
        live = self._beats.members.live()
        return sorted(name_of(member, level) for member, level in live.items())[:NAMES_MAX]

    def _write(self, message: FeaturesRequired | FeaturesEnabled) -> None:
        context = Context(id=f"{message.type_name}/{message.level}/{message.at}", time=message.at)
        made = headers(context, message.type_name, "/chronova/features")
        value = self._codec.encode(message)
        self._log.append([Outgoing(FEATURES, str(message.level), value, made, 0)])
        logger.info(message.type_name, level=message.level, members=message.members)


def holders(log: Log, codec: Codec, window_s: float) -> tuple[list[str], list[str]]:
    """Return who holds the highest known level back, and who was refused as too old, of those
    heard in the last ``window_s``. Raises ``LogError``."""
    beats = Heartbeats(log, codec, int(window_s * 1_000_000))
    with closing(beats):
        beats.listen()
        required = codec.levels.look().required
        members = beats.members
        return members.holding_back(codec.levels.known, ()), members.refused(required)
