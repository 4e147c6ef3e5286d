"""Two versions of Chronova at once: yesterday's knows no reboot, which has a feature level.

Every process begins as yesterday's. They are restarted as today's one after the other, and some
back again; one that is refused as too old is upgraded then. Nothing of a reboot may be written
while a process of yesterday's version is at work, and in the end the level has risen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

import commands.compute.reboot as reboot
from chronova.membership import Say, announce
from events.compute.server import facts
from events.features import Levels
from events.fleet.heartbeat import Heartbeat
from events.log.contract import LogError, Record
from events.log.features_in_log import FeaturesInLog
from events.log.records import Codec
from events.message import Message, UnknownMessage
from handlers.heartbeat import heartbeat_record
from tests.simulation.fault_kind import FaultKind
from tests.simulation.kernel import SECOND

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

YESTERDAY, TODAY = 1, 2
WINDOW_S = 60.0
BEAT_S = 10.0

YOUNGER: tuple[type[Message], ...] = (
    reboot.RebootServer,
    reboot.RebootGuest,
    reboot.ReportRebootStarted,
    reboot.ReportGuestRebooted,
    reboot.ReportSoftRebootUnanswered,
    reboot.ReportRebootFailed,
    facts.RebootRequested,
    facts.RebootStarted,
    facts.RebootTurnedHard,
    facts.ServerRebooted,
    facts.RebootFailed,
)
NAMES = {f"chronova.{cls.type_name}" for cls in YOUNGER}


@contextmanager
def younger() -> Iterator[None]:
    """The types of a reboot need the level meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        for cls in YOUNGER:
            patch.setattr(cls, "since_level", TODAY)
        yield


class BuildCodec(Codec):
    """As a process of one version has it."""

    def __init__(self, world: World, process: Process) -> None:
        super().__init__(levels=Levels(process.known, process.monotonic))
        self.levels.look_up = FeaturesInLog(process.log, world.codec)
        self._world = world

    def decode(self, value: bytes) -> Message:
        message = self._world.codec.decode(value)
        if message.since_level > self.levels.known:
            raise UnknownMessage(f"no message is called {message.type_name!r}")
        return message


class Member:
    """The heartbeats of a process. ``say``: those of an agent's hosts, else its own."""

    def __init__(self, process: Process, binary: str, say: Say | None = None) -> None:
        self._process = process
        self._binary = binary
        self._append = say or self._own
        self._entered = False

    def say(self, *, ending: bool, troubles: Sequence[str] = ()) -> None:
        self._append(ending=ending, troubles=troubles)
        at_work = self._entered and not ending
        self._process.said_at = self._process.world.kernel.now if at_work else None

    def enter(self) -> None:
        """Announce it, before it begins its work. Raises ``TooOld``."""
        while not self._announced():
            self._process.pause(1.0)
        self._entered, self._process.said_at = True, self._process.world.kernel.now

    def keep(self) -> None:
        """``chronova.membership.Membership.keep``."""
        while not self._process.stopping:
            self._process.pause(BEAT_S)
            self._announced()

    def leave(self) -> None:
        with suppress(LogError):
            self.say(ending=True)

    def _announced(self) -> bool:
        return announce(self.say, (), self._process.codec.levels)

    def _own(self, *, ending: bool, troubles: Sequence[str] = ()) -> None:
        process = self._process
        beat = Heartbeat(
            host=process.name,
            binary=self._binary,
            at=process.clock(),
            started_at=0,
            troubles=list(troubles),
            level=process.known,
            process=str(process.incarnation),
            ending=ending,
        )
        process.log.append([heartbeat_record(process.codec, beat, process.new_id())])


class Builds(FaultKind):
    """A process is stopped in order and started as the other version."""

    name = "builds"
    drawn = False
    every_s = 6.0

    def visit(self) -> None:
        world = self.world
        process = self.rng.choice([*world.deciders, *world.agents, world.projector])
        if process.alive and not process.frozen:
            process.known = TODAY if self.rng.random() < 0.8 else YESTERDAY
            self._restart(process)

    def heal(self) -> None:
        for process in (*self.world.deciders, *self.world.agents, self.world.projector):
            if process.known != TODAY:
                process.known = TODAY
                if process.alive:
                    self._restart(process)

    def _restart(self, process: Process) -> None:
        self.said(f"{process.name} becomes version {process.known}")
        process.stopping = True
        self.world.kernel.say("")
        self.world.restart_later(process, self.rng.choice((1.0, 5.0)))


def enabled(records: Sequence[Record]) -> bool:
    """Whether these records of the topic ``features`` enable the level."""
    return any("FeaturesEnabled" in record.headers["ce_type"] for record in records)


def judge(
    records: Sequence[Record], processes: Sequence[Process], complain: Callable[[str, str], None]
) -> None:
    """Nothing that yesterday's version cannot read is written while it is at work: a process that
    announced itself and was let in, and was heard within the time after which it counts as gone."""
    kinds = {record.headers.get("ce_type", "") for record in records} & NAMES
    if not kinds:
        return
    for process in processes:
        here = process.cluster is process.world.cluster
        if here and process.alive and process.runs == YESTERDAY and not process.frozen:
            said_at = process.said_at
            if said_at is not None and process.world.kernel.now - said_at < WINDOW_S * SECOND:
                complain("too early", f"{sorted(kinds)} while {process.name} is yesterday's")
