"""The feature level of a log rises when the last process that does not know it is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec
import pytest

import events.log.features_in_log as in_log
import handlers.features as features
import handlers.heartbeat
from events.features import FeaturesEnabled, FeaturesRequired, Levels, Reached, TooOld
from events.fleet.heartbeat import COMPUTE, CONDUCTOR, SCHEDULER, Heartbeat
from events.log.contract import Log, Outgoing, Record
from events.log.features_in_log import FeaturesInLog
from events.log.records import Codec, headers
from events.message import Context, Message
from handlers.features import Raiser, holders
from handlers.heartbeat import heartbeat_record
from tests.events.log.site import MemorySite, Site
from tests.parts.proofs import checked, proofs_of

WINDOW_S = 60.0
SECOND = 1_000_000


class Cloud:
    """Processes on one log, whose topics have names of this test's own."""

    def __init__(self, site: Site, patch: pytest.MonkeyPatch) -> None:
        self.site = site
        self.later = 0
        beats, levels = site.topic("heartbeats"), site.topic("features")
        patch.setattr(features, "SOURCE", (beats, 0))
        patch.setattr(features, "FEATURES", levels)
        patch.setattr(handlers.heartbeat, "HEARTBEATS", beats)
        patch.setattr(in_log, "SOURCE", (levels, 0))
        self._levels = levels

    def now(self) -> int:
        """Microseconds, by the log's clock; each look is at least two seconds later."""
        self.later += 2 * SECOND
        now = self.site.time if isinstance(self.site, MemorySite) else time.time_ns() // 1000
        return now + self.later

    def process(self, name: str, known: int, binary: str = CONDUCTOR) -> Process:
        return Process(self.site.open(), name, known, binary)

    def written(self) -> list[Message]:
        with_codec = Codec()
        reader = self.site.reader(self._levels)
        records: list[Record] = []
        while reader.positions()[self._levels, 0] < reader.ends()[self._levels, 0]:
            records += reader.poll(1.0)
        return [with_codec.decode(record.value) for record in records]


class Process:
    """One process of a version that knows the levels up to ``known``."""

    def __init__(self, log: Log, name: str, known: int, binary: str) -> None:
        self.log, self.name, self.binary = log, name, binary
        self.levels = Levels(known)
        self.codec = Codec(levels=self.levels)
        self.levels.look_up = FeaturesInLog(log, self.codec)
        self.raiser = Raiser(log, self.codec, WINDOW_S)

    def beat(self, *, ending: bool = False) -> None:
        beat = Heartbeat(
            host=self.name,
            binary=self.binary,
            at=1,
            started_at=1,
            level=self.levels.known,
            ending=ending,
        )
        self.log.append([heartbeat_record(self.codec, beat, "beat")])


@pytest.fixture
def cloud(site: Site, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    return Cloud(site, monkeypatch)


def test_the_level_rises_when_the_last_old_process_is_gone(cloud: Cloud) -> None:
    old, new = cloud.process("old", 1), cloud.process("new", 2)
    for one in (old, new):
        one.beat()
    new.raiser.step({}, cloud.now())
    assert new.levels.look() == Reached(1, 1)
    assert holders(new.log, new.codec, WINDOW_S) == (
        ["nova-conductor on old: level 1"],
        [],
    )
    old.levels.check()
    old.beat(ending=True)
    new.raiser.step({}, cloud.now())
    assert new.levels.look() == Reached(2, 2)
    required, enabled = cloud.written()
    assert isinstance(required, FeaturesRequired) and isinstance(enabled, FeaturesEnabled)
    assert enabled.level == 2 and enabled.members == ["nova-conductor on new: level 2"]
    with pytest.raises(TooOld):
        old.levels.check()
    assert holders(new.log, new.codec, WINDOW_S) == (
        [],
        ["nova-conductor on old: level 1"],
    )
    new.raiser.step({}, cloud.now())
    assert len(cloud.written()) == 2, "it is raised once"
    new.raiser.close()


def test_a_level_never_goes_down(cloud: Cloud) -> None:
    new = cloud.process("new", 3)
    for level in (2, 3, 2):
        value = new.codec.encode(FeaturesEnabled(level=level, at=1, members=[]))
        new.log.append([Outgoing(in_log.SOURCE[0], "x", value, {}, 0)])
        new.levels.look()
    assert new.levels.reached == Reached(3, 3)
    assert cloud.process("another", 3).levels.look() == Reached(3, 3)


def test_an_owner_goes_on_where_the_last_one_died(cloud: Cloud) -> None:
    """Between the two records: what is required is not yet enabled."""
    new = cloud.process("new", 2)
    value = new.codec.encode(FeaturesRequired(level=2, at=1, members=[]))
    new.log.append([Outgoing(in_log.SOURCE[0], "x", value, {}, 0)])
    assert new.levels.look() == Reached(2, 1)
    new.beat()
    new.raiser.step({}, cloud.now())
    assert new.levels.look() == Reached(2, 2)
    new.raiser.close()


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    return Cloud(MemorySite(), monkeypatch)


def test_a_silent_process_is_gone_after_a_while_and_a_host_when_it_counts_as_down(
    in_memory: Cloud,
) -> None:
    old, new = in_memory.process("old", 1), in_memory.process("new", 2)
    for one in (old, new):
        one.beat()
    new.raiser.step({}, in_memory.now())
    assert new.levels.look().required == 1
    in_memory.later += int(WINDOW_S) * SECOND
    assert isinstance(in_memory.site, MemorySite)
    in_memory.site.time += int(WINDOW_S + 1) * SECOND
    in_memory.later = 0
    new.beat()
    new.raiser.step({"silent": True}, in_memory.now())
    assert new.levels.look().required == 1, "a host that counts as up was not heard"
    new.raiser.step({"silent": False}, in_memory.now())
    assert new.levels.look() == Reached(2, 2)


def test_no_machine_s_clock_decides_who_is_gone(in_memory: Cloud) -> None:
    """That of who raises the level is an hour ahead."""
    old, new = in_memory.process("old", 1), in_memory.process("new", 2)
    for one in (old, new):
        one.beat()
    new.raiser.step({}, in_memory.now() + 3600 * SECOND)
    assert new.levels.look().required == 1


def test_the_scheduler_is_a_part_of_its_decider(in_memory: Cloud) -> None:
    """It says nothing when it ends; its process does."""
    new = in_memory.process("new", 2)
    in_memory.process("old", 1, SCHEDULER).beat()
    new.beat()
    new.raiser.step({}, in_memory.now())
    assert new.levels.look() == Reached(2, 2)


def test_hosts_are_told_apart_by_name(in_memory: Cloud) -> None:
    old, new = in_memory.process("h1", 1, COMPUTE), in_memory.process("h2", 2, COMPUTE)
    for one in (old, new):
        one.beat()
    new.raiser.step({"h1": True, "h2": True}, in_memory.now())
    assert new.levels.look().required == 1
    in_memory.process("h1", 2, COMPUTE).beat()
    new.raiser.step({"h1": True, "h2": True}, in_memory.now())
    assert new.levels.look() == Reached(2, 2)


class Between:
    """A log at which something happens just before the first record of the level."""

    def __init__(self, log: Log, happens: Callable[[], None]) -> None:
        self._log = log
        self._happens: list[Callable[[], None]] = [happens]

    def append(self, records: Sequence[Outgoing], timeout_s: float = 10.0) -> Sequence[int]:
        if records[0].topic == in_log.SOURCE[0] and self._happens:
            self._happens.pop()()
        return self._log.append(records, timeout_s)

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)


def test_a_process_that_starts_while_the_level_rises_is_waited_for(in_memory: Cloud) -> None:
    """It was announced, and looked, after the last look at who is there and before the record."""
    old = in_memory.process("old", 1)

    def starts() -> None:
        old.beat()
        old.levels.check()

    new = in_memory.process("new", 2)
    new.beat()
    new.raiser = Raiser(Between(new.log, starts), new.codec, WINDOW_S)  # type: ignore[arg-type]
    new.raiser.step({}, in_memory.now())
    assert new.levels.look() == Reached(required=2, enabled=1), "the old one is at work"
    with pytest.raises(TooOld):
        old.levels.check()
    old.beat(ending=True)
    new.raiser.step({}, in_memory.now())
    assert new.levels.look() == Reached(2, 2)


def test_no_host_speaks_for_another_about_its_version(cloud: Cloud) -> None:
    """A forged heartbeat would let the level rise while a host of an older version is at work."""
    new = cloud.process("new", 2)

    def say(host: str, by: str, level: int) -> None:
        beat = Heartbeat(host=host, at=1, started_at=1, level=level)
        made = headers(Context(id=f"{host} {by} {level}", time=1), beat.type_name, "/test")
        record = Outgoing(features.SOURCE[0], host, new.codec.encode(beat), made)
        new.log.append([proofs_of(by).add(record, msgspec.structs.replace(beat, host=by))])

    with checked():
        new.beat()
        say("a", "a", 1)
        say("a", "b", 2)
        new.raiser.step({"a": True}, cloud.now())
        assert new.levels.look() == Reached(1, 1)
        say("a", "a", 2)
        new.raiser.step({"a": True}, cloud.now())
        assert new.levels.look() == Reached(2, 2)
    new.raiser.close()
