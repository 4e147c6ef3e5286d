"""Refusals lie beside the journal: what is lost, repeated or cut there changes no decision."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import msgspec
import pytest
from structlog.testing import capture_logs

from chronova.domains import load_handlers
from commands.compute.flavor import DeleteFlavor
from events import topics
from events.compute.flavor import KEY
from events.journal import Marked
from events.log.contract import LogUnavailable, Topic
from events.log.memory import Crash, Fault, Operation
from events.outcome import CommandRefused
from handlers.decider import Decider
from handlers.decider.owned import PAUSE_MAX_US
from tests.handlers.decider.site import CODEC, Site, flavors, settle

load_handlers()

REFUSALS = topics.refusals("compute")


def refused(site: Site) -> list[CommandRefused]:
    """What lies in the topic of refusals."""
    found = [CODEC.decode(record.value) for record in site.records(REFUSALS)]
    return [one for one in found if isinstance(one, CommandRefused)]


def marked(site: Site) -> list[str]:
    """The commands that the journal's marks call refused."""
    found = [CODEC.decode(record.value) for record in site.records(topics.events("compute"))]
    return [r.command_id for one in found if isinstance(one, Marked) for r in one.refused]


def with_flavor(site: Site) -> Decider:
    decider = site.decider("first")
    site.ask_flavor("one")
    settle(decider)
    return decider


def struck(site: Site, decider: Decider, operation: str, fault: Fault, at: int) -> None:
    """Let a fault strike at one of the process's next writes of a kind, until it has ended."""
    writes = 0

    def strike(one: Operation) -> Fault | None:
        nonlocal writes
        if one != (operation, "first"):
            return None
        writes += 1
        return fault if writes == at else None

    site.faults = strike
    with pytest.raises(Crash):
        settle(decider)
    decider._log.expel()  # type: ignore[attr-defined]
    site.faults = lambda operation: None


def test_the_journal_holds_a_mark_only() -> None:
    site = Site()
    decider = with_flavor(site)
    ids = [site.ask_flavor("one") for _ in range(100)]
    before = site.records(topics.events("compute"))
    settle(decider)
    assert [one.command_id for one in refused(site)] == ids
    assert marked(site) == ids
    assert {answer.status for id in ids for answer in site.answers()[id]} == {409}
    assert len(site.events()) == 1, "no event but the flavor's"
    added = site.records(topics.events("compute"))[len(before) :]
    size = sum(len(r.value) + sum(map(len, r.headers.values())) for r in added)
    assert size < 40 * len(ids), "some bytes of each refused command stay for ever"


@pytest.mark.parametrize("fault", [Fault.CRASH, Fault.CRASH_AFTER])
def test_what_no_mark_names_is_decided_once_more(fault: Fault) -> None:
    """The owner ends before the commit: nothing was said, so it may well be accepted now."""
    site = Site()
    first = with_flavor(site)
    id = site.ask_flavor("one")
    struck(site, first, "append", fault, at=1)
    assert len(refused(site)) == (1 if fault is Fault.CRASH_AFTER else 0)
    assert not marked(site) and id not in site.answers()
    second = site.decider("second")
    settle(second)
    assert [answer.status for answer in site.answers()[id]] == [409]
    assert marked(site) == [id]


@pytest.mark.parametrize(
    ("operation", "fault", "at"),
    [
        ("commit", Fault.CRASH_AFTER, 1),
        ("append", Fault.CRASH, 2),
        ("append", Fault.CRASH_AFTER, 2),
    ],
)
def test_who_was_refused_is_told_by_the_next_owner(operation: str, fault: Fault, at: int) -> None:
    """The owner ends between the commit and the mark of what it told: the words are the same, and
    the command is refused although it could be accepted by now."""
    site = Site()
    first = with_flavor(site)
    id = site.ask_flavor("one")
    struck(site, first, operation, fault, at)
    site.ask(DeleteFlavor(flavor_id="one"), KEY)
    second = site.decider("second")
    settle(second)
    assert flavors(second) == set()
    answers = site.answers()[id]
    (kept,) = refused(site)
    assert {(one.status, one.code, one.detail) for one in answers} == {
        (kept.status, kept.code, kept.detail)
    }
    assert kept.status == 409


def test_a_refused_command_that_comes_twice_is_not_looked_at_again() -> None:
    """Its sender wrote it twice, and the second one meets an owner that only knows the mark."""
    site = Site()
    first = with_flavor(site)
    id = site.ask_flavor("one", id="twice")
    settle(first)
    site.ask(DeleteFlavor(flavor_id="one"), KEY)
    settle(first)
    first.close()
    second = site.decider("second")
    settle(second)
    site.ask_flavor("one", id="twice")
    settle(second)
    assert flavors(second) == set(), "refused once, refused for good"
    assert {answer.status for answer in site.answers()[id]} == {409}


def test_what_was_cut_troubles_no_later_owner() -> None:
    site = Site()
    first = with_flavor(site)
    id = site.ask_flavor("one")
    struck(site, first, "commit", Fault.CRASH_AFTER, at=1)
    kept = site.cluster.partitions[REFUSALS, 0]
    kept.first, kept.records = kept.end, []
    second = site.decider("second")
    site.ask_flavor("two")
    settle(second)
    assert flavors(second) == {"one", "two"}
    assert id not in site.answers(), "nobody knows any more what it was told"


def test_without_its_topic_a_partition_waits_and_others_go_on() -> None:
    site = Site()
    decider = site.decider(domains=("compute", "fleet"))
    lost = site.cluster.topics.pop(REFUSALS)
    del site.cluster.partitions[REFUSALS, 0]
    site.ask_flavor("one")
    settle(decider)
    id = site.ask_flavor("one")
    settle(decider)
    (trouble,) = decider.troubles()
    assert "compute.events/0" in trouble and REFUSALS in trouble
    assert decider.states("fleet", 0, "host") is not None, "another partition decides"
    assert id not in site.answers()
    site.cluster.create(Topic(lost.name, lost.partitions, lost.retention_ms))
    site.now += 2_000_000
    settle(decider)
    assert decider.troubles() == []
    assert [answer.status for answer in site.answers()[id]] == [409]


def test_refusals_that_are_never_kept_are_tried_less_and_less_often() -> None:
    """Each try may take the loop as long as the log is waited for: it was made every second."""
    site = Site()
    decider = with_flavor(site)
    tried: list[int] = []

    def refused(operation: Operation) -> Fault | None:
        if operation.name != "append":
            return None
        tried.append(site.now)
        return Fault.UNAVAILABLE

    site.ask_flavor("one")
    site.faults = refused
    for _ in range(200):
        with suppress(LogUnavailable):
            decider.step(0.0)
        site.now += 1_000_000
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    assert pauses == sorted(pauses) and pauses[-1] >= PAUSE_MAX_US, pauses
    assert len(tried) < 15
    site.faults = lambda operation: None
    site.now += PAUSE_MAX_US
    settle(decider)
    assert 409 in [answer.status for answers in site.answers().values() for answer in answers]


def test_a_refusal_that_cannot_be_read_stops_nothing() -> None:
    """Who asked gives up; the partition is not set aside for that."""
    site = Site()
    first = with_flavor(site)
    id = site.ask_flavor("one")
    struck(site, first, "append", Fault.CRASH, 2)
    lying = site.cluster.partitions[REFUSALS, 0].records
    lying[:] = [msgspec.structs.replace(record, value=b"\0garbage") for record in lying]
    second = site.decider("second")
    with capture_logs() as logged:
        settle(second)
    assert "effects_lost" in [one["event"] for one in logged]
    assert flavors(second) == {"one"}
    assert second.troubles() == []
    assert id not in site.answers()
