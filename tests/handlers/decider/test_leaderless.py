"""A partition whose broker is away waits by itself: the others begin, decide and deliver."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence

import pytest

from events import topics
from events.compute.flavor import KEY
from events.log.contract import (
    Journal,
    LogUnavailable,
    Outgoing,
    Reader,
    Record,
    TopicPartition,
    partition_of,
)
from events.log.memory import MemoryLog, MemoryReader
from handlers.decider import Decider
from handlers.decider.ownership import AWAY_US
from tests.commands.compute.servers import create
from tests.commands.fleet.fleet import register
from tests.handlers.decider.site import CODEC, HOST, Site, settle

LOST = 1
"""The number of the partitions that nobody leads."""

DEADLINE_US = 120_000_000
"""After that a boot without a host has failed."""

HANG_S = 20.0
"""Beyond this a test has failed."""


class Lossy(MemoryLog):
    """A log that does not answer for some partitions: each such call hangs until ``let_go``."""

    def __init__(self, site: Site, *lost: TopicPartition) -> None:
        super().__init__(cluster=site.cluster, process="decider")
        self.lost = set(lost)
        self.let_go = threading.Event()
        self.hung = 0
        """Calls that nothing but their own time ended."""

    def _reach(self, sources: Sequence[TopicPartition]) -> None:
        if self.lost.intersection(sources):
            if not self.let_go.wait(HANG_S):
                self.hung += 1
            raise LogUnavailable("nobody leads it")

    def begin_term(
        self, source: TopicPartition, record: Outgoing, timeout_s: float = 10.0
    ) -> Journal:
        self._reach([source])
        return super().begin_term(source, record, timeout_s)

    def ends(self, sources: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        self._reach(sources)
        return super().ends(sources)

    def offset_at(self, source: TopicPartition, timestamp: int) -> int | None:
        self._reach([source])
        return super().offset_at(source, timestamp)


def owner(site: Site, log: MemoryLog) -> Decider:
    return Decider(log, ("compute",), clock=lambda: site.now, codec=CODEC)


def step_until(site: Site, decider: Decider, reached: Callable[[], bool]) -> None:
    """Step, while other threads go on and the site's clock runs."""
    until = time.monotonic() + HANG_S
    while not reached():
        assert time.monotonic() < until, decider.troubles()
        site.now += 100_000
        decider.step(0.0)
        threading.Event().wait(0.01)


def decides(decider: Decider, number: int) -> bool:
    return decider.states("compute", number, "flavor") is not None


@pytest.mark.parametrize(
    "lost", [topics.events("compute"), topics.commands("compute"), topics.reports("compute")]
)
def test_a_term_that_hangs_holds_back_no_other(lost: str) -> None:
    """Each try took the loop 3 seconds, of all partitions."""
    site = Site(partitions=3)
    log = Lossy(site, (lost, LOST))
    decider = owner(site, log)
    try:
        step_until(site, decider, lambda: decides(decider, 0) and decides(decider, 2))
        assert log.hung == 0, "the loop waited for the partition that nobody leads"
        assert not decides(decider, LOST)
        log.lost.clear()
        log.let_go.set()
        step_until(site, decider, lambda: decides(decider, LOST))
        assert decider.troubles() == []
    finally:
        log.let_go.set()
        decider.close()


def test_refusals_that_cannot_be_read_back_hold_back_their_own_partition_alone() -> None:
    """Each partition's were waited for in turn, 5 seconds each, by the loop."""
    site = Site(partitions=3)
    first = site.decider("first")
    number = partition_of(KEY, 3)
    site.ask_flavor("one")
    refused = site.ask_flavor("one")
    settle(first)
    first.close()
    told = len(site.answers()[refused])
    log = Lossy(site, (topics.refusals("compute"), number))
    decider = owner(site, log)
    others = [n for n in range(3) if n != number]
    try:
        step_until(site, decider, lambda: all(decides(decider, n) for n in others))
        assert log.hung == 0, "the loop waited for the refusals that nobody leads"
        assert not decides(decider, number)
        log.lost.clear()
        log.let_go.set()
        step_until(site, decider, lambda: len(site.answers()[refused]) > told)
    finally:
        log.let_go.set()
        decider.close()


class Blind(MemoryReader):
    """Nobody leads the journal of partition ``LOST``: no record of it comes."""

    def poll(self, timeout_s: float, records_max: int = 1000) -> Sequence[Record]:
        found = super().poll(timeout_s, records_max)
        unseen = [record for record in found if record.partition == LOST]
        if unseen:
            self.seek(unseen[0].source, unseen[0].offset)
        return [record for record in found if record.partition != LOST]


def test_a_journal_that_gives_no_record_does_not_keep_others_from_being_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its broker went away after its term had begun; those that begin later waited for it."""
    site = Site(partitions=3)
    log = site.log("decider")
    opened: list[set[int]] = []
    begin, reader = log.begin_term, log.reader

    def begin_term(source: TopicPartition, record: Outgoing, timeout_s: float = 10.0) -> Journal:
        if source[1] != LOST and not opened:
            raise LogUnavailable("it is slow")
        return begin(source, record, timeout_s)

    def blind(start: Mapping[TopicPartition, int]) -> Reader:
        opened.append({number for _, number in start})
        reads = LOST in opened[-1]
        return Blind(site.cluster, "decider", start) if reads else reader(start)

    monkeypatch.setattr(log, "begin_term", begin_term)
    monkeypatch.setattr(log, "reader", blind)
    decider = site.decider(log=log)
    settle(decider)
    assert opened == [{LOST}]
    site.now += AWAY_US
    settle(decider)
    assert decides(decider, 0) and decides(decider, 2)
    assert not decides(decider, LOST)
    monkeypatch.setattr(Blind, "poll", MemoryReader.poll)
    settle(decider)
    assert decides(decider, LOST)


def test_where_commands_cannot_be_read_nothing_is_handed_over_in_memory() -> None:
    """An older effect may lie there unread. The others begin to decide all the same."""
    site = Site(partitions=3)
    log = Lossy(site, (topics.events("compute"), 2))
    log.let_go.set()
    decider = owner(site, log)
    receiver = ("compute.commands", LOST)
    try:
        step_until(site, decider, lambda: decides(decider, 0) and decides(decider, LOST))
        log.lost = {receiver}
        step_until(site, decider, lambda: decides(decider, 2))
        assert decides(decider, LOST)
        hand_over = decider._ownership.owned[receiver].hand_over
        assert hand_over.start is None
        hand_over.wait_for(7)
        assert hand_over.start is None, "what the relay appended says nothing about the end"
        log.lost.clear()
        step_until(site, decider, lambda: hand_over.start is not None)
    finally:
        decider.close()


def test_a_journal_whose_end_is_not_said_holds_back_what_is_said_to_follow_from_it() -> None:
    """The loop asked where it ends, 5 seconds at a time, and decided nothing in between."""
    site = Site()
    compute = site.decider("compute")
    log = Lossy(site, (topics.events("compute"), 0))
    fleet = Decider(log, ("fleet",), clock=lambda: site.now, codec=CODEC)

    def hosts() -> int:
        return len(fleet.states("fleet", 0, "host") or ())

    try:
        settle(compute)
        step_until(site, fleet, lambda: fleet.states("fleet", 0, "host") is not None)
        site.ask(create(), create().project_id)
        settle(compute)
        step_until(site, fleet, lambda: bool(fleet.troubles()))
        site.append(topics.reports("fleet"), "default", register(HOST))
        step_until(site, fleet, lambda: hosts() == 1)
        assert log.hung == 0, "the loop waited for the journal that nobody leads"
        assert site.records(topics.commands("compute"))[1:] == []
        log.lost.clear()
        log.let_go.set()
        step_until(site, fleet, lambda: bool(site.records(topics.commands("compute"))[1:]))
        assert fleet.troubles() == []
    finally:
        log.let_go.set()
        fleet.close()


def test_a_look_that_hangs_holds_back_no_deadline_of_another() -> None:
    """Before a deadline passes the log is asked where the inputs end: the loop waited for that."""
    site = Site(partitions=3)
    log = Lossy(site)
    decider = owner(site, log)
    commands = topics.commands("compute")
    projects = {partition_of(name, 3): name for name in map(str, range(20))}

    def failed(number: int) -> bool:
        servers = decider.states("compute", number, "server") or {}
        return [server.vm_state for server in servers.values()] == ["error"]

    try:
        step_until(site, decider, lambda: all(decides(decider, n) for n in range(3)))
        for project in projects.values():
            site.ask(create(str(uuid.uuid4()), project_id=project), project)
        step_until(
            site, decider, lambda: all(decider.states("compute", n, "server") for n in range(3))
        )
        log.lost.add((commands, LOST))
        site.now += DEADLINE_US
        step_until(site, decider, lambda: failed(0) and failed(2))
        assert log.hung == 0, "the loop waited for the commands that nobody leads"
        assert not failed(LOST)
        log.lost.clear()
        log.let_go.set()
        step_until(site, decider, lambda: failed(LOST))
    finally:
        log.let_go.set()
        decider.close()
