"""A process announces itself before it looks which feature level is required."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from chronova.membership import Membership, announce
from events import topics
from events.features import PROCESS, Reached, TooOld
from events.fleet.heartbeat import CONDUCTOR, TROUBLES_MAX, Heartbeat
from events.log.contract import LogUnavailable
from events.log.memory import Cluster, Fault, MemoryLog, Operation
from events.log.records import Codec


class Site:
    """A log in memory, and what the level of it is."""

    def __init__(self) -> None:
        self.away = False
        self.required = 1
        self.steps: list[str] = []
        self.cluster = Cluster(lambda: 1, faults=self._fault)
        self.log = MemoryLog(cluster=self.cluster)
        self.log.create_topics(topics.all_topics(1))
        self.member = Membership(self.log, CONDUCTOR, 10.0)

    def look(self) -> Reached:
        self.steps.append("look")
        return Reached(self.required, self.required)

    def beats(self) -> list[Heartbeat]:
        records = self.cluster.partitions[topics.HEARTBEATS, 0].records
        decoded = [Codec().decode(record.value) for record in records]
        return [beat for beat in decoded if isinstance(beat, Heartbeat)]

    def _fault(self, operation: Operation) -> Fault | None:
        if operation.name == "append":
            self.steps.append("say")
        return Fault.UNAVAILABLE if self.away else None


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PROCESS, "look_up", made.look)
        patch.setattr(PROCESS, "reached", Reached())
        yield made


def test_it_says_what_it_knows_and_looks_then(site: Site) -> None:
    site.member.enter()
    assert site.steps == ["say", "look"], "who raises the level writes first and listens then"
    (beat,) = site.beats()
    assert (beat.binary, beat.level, beat.ending) == (CONDUCTOR, PROCESS.known, False)
    assert beat.process.isdecimal()


def test_one_that_is_too_old_says_so_and_does_not_enter(site: Site) -> None:
    site.required = PROCESS.known + 1
    with pytest.raises(TooOld) as refused:
        site.member.enter()
    last = site.beats()[-1]
    assert last.ending and last.troubles == [str(refused.value)]


def test_one_at_work_ends_when_the_level_has_risen(site: Site) -> None:
    site.member.enter()
    turns = iter(range(3))

    def pause(seconds: float) -> bool:
        site.required = 1 + next(turns)
        return False

    with pytest.raises(TooOld):
        site.member.keep(pause)
    assert [beat.ending for beat in site.beats()] == [False, False, False, True]


def test_a_log_that_is_away_is_tried_again_soon(site: Site) -> None:
    site.away = True
    site.member.enter()
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        site.away = len(pauses) == 1
        return len(pauses) == 4

    site.member.keep(pause)
    assert pauses == [10.0, 1.0, 10.0, 10.0]
    assert len(site.beats()) == 2


def test_who_may_not_begin_unannounced_waits_for_the_log(site: Site) -> None:
    site.away = True
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        site.away = len(pauses) < 3
        return False

    site.member.enter(pause)
    assert len(pauses) == 3 and len(site.beats()) == 1
    site.away = True
    site.member.enter(lambda seconds: True)  # the process is to end


def test_a_refusal_is_told_though_the_log_does_not_take_it(site: Site) -> None:
    site.required = PROCESS.known + 1

    def say(*, ending: bool, troubles: Sequence[str] = ()) -> None:
        if ending:
            raise LogUnavailable("away")

    with pytest.raises(TooOld):
        announce(say)


def test_what_leaves_is_waited_for_by_nobody(site: Site) -> None:
    site.member.enter()
    site.member.leave()
    assert [beat.ending for beat in site.beats()] == [False, True]
    site.away = True
    site.member.leave()  # raises nothing


def test_troubles_of_any_length_and_number_are_said(site: Site) -> None:
    """They quote errors of other programs: a full disk's was longer than a record may hold, and
    ended each decider that met it."""
    site.member.troubles = lambda: ["waits: " + "long\n\x00\udcff" * 1000] * 1000
    turns = iter([False, True])
    site.member.keep(lambda seconds: next(turns))
    (beat,) = site.beats()
    assert len(beat.troubles) == TROUBLES_MAX
    assert beat.troubles[0].startswith("waits: long\N{REPLACEMENT CHARACTER}")
