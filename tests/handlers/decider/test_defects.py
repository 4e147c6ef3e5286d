"""A defect in what the domains give to the runner: it stops as little as it can."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest

import commands.decision
import handlers.reactions  # noqa: F401 - registers what follows
from events import topics
from events.aggregate import AGGREGATES
from events.log.memory import Fault
from handlers.decider import Decider
from handlers.decider.deadlines import PAUSE_MIN_US
from handlers.decider.effects import Effects
from handlers.decider.outbox import Outbox
from handlers.decider.owned import GRACE_US
from handlers.decider.ownership import ILL_US
from tests.commands.compute.servers import create
from tests.handlers.decider.booting import booting
from tests.handlers.decider.site import CODEC, Site, flavors, settle

HANG_S = 20.0
"""Beyond this a test has failed."""


def broken(*_: Any) -> Any:
    raise OverflowError("cannot convert float infinity to integer")


@pytest.mark.parametrize("part", ["evolve", "gone", "deadline"])
def test_an_event_that_no_fold_can_take_stops_its_partition_alone(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended the process, and each that came after it. Mended, all goes on."""
    site = Site(partitions=2)
    decider = site.decider()
    site.ask_flavor("one")
    settle(decider)
    decider.close()
    right = AGGREGATES["flavor"]
    wrong = msgspec.structs.replace(right, **{part: broken})
    monkeypatch.setitem(AGGREGATES, "flavor", wrong)
    decider = site.decider("successor")
    for _ in range(2):
        site.now += ILL_US
        settle(decider)
        (trouble,) = decider.troubles()
        assert "compute.FlavorCreated) cannot be folded: OverflowError" in trouble
    ill, well = (0, 1) if trouble.startswith("compute.events/0") else (1, 0)
    assert decider.states("compute", ill, "flavor") is None
    assert decider.states("compute", well, "flavor") is not None
    monkeypatch.setitem(AGGREGATES, "flavor", right)
    site.now += ILL_US
    settle(decider)
    assert decider.troubles() == []
    assert set(decider.states("compute", ill, "flavor") or ()) == {"one"}


@pytest.mark.parametrize("part", ["evolve", "gone", "deadline"])
def test_a_fact_that_no_fold_could_take_is_not_written(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What led to it is recorded as failed, and the next command is decided."""
    site = Site()
    decider = site.decider()
    settle(decider)
    right = AGGREGATES["flavor"]
    monkeypatch.setitem(AGGREGATES, "flavor", msgspec.structs.replace(right, **{part: broken}))
    id = site.ask_flavor("one")
    settle(decider)
    assert [answer.status for answer in site.answers()[id]] == [500]
    monkeypatch.setitem(AGGREGATES, "flavor", right)
    site.ask_flavor("two")
    settle(decider)
    assert flavors(decider) == {"two"}


class Index:
    """The ids of the flavors; keeps up only while it is not ``wrong``."""

    wrong = False

    def __init__(self, states: dict[str, Any]) -> None:
        self.ids = set(states)

    def replace(self, id: str, before: Any, after: Any) -> None:
        if self.wrong:
            broken()
        self.ids.add(id)


def partition_of(decider: Decider) -> Any:
    return decider._ownership.owned["compute.commands", 0].partition


def test_an_index_that_cannot_keep_up_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its fact is committed: the process ended, with that command unanswered."""
    monkeypatch.setitem(commands.decision.INDEXES, "ids", ("flavor", Index))
    site = Site()
    decider = site.decider()
    settle(decider)
    assert partition_of(decider).indexes.get("ids").ids == set()
    monkeypatch.setattr(Index, "wrong", True)
    id = site.ask_flavor("one")
    settle(decider)
    assert [answer.status for answer in site.answers()[id]] == [0]
    assert partition_of(decider).indexes.get("ids").ids == {"one"}


def test_a_deadline_without_a_way_out_holds_back_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ended, and each that came after it. It is asked for again after a pause."""
    site = Site()
    decider, server = booting(site)
    right = AGGREGATES["server"]
    monkeypatch.setitem(AGGREGATES, "server", msgspec.structs.replace(right, overdue=broken))
    site.now += 3_600_000_000
    settle(decider)
    site.now += GRACE_US + 1
    settle(decider)
    site.ask_flavor("one")
    settle(decider)
    assert flavors(decider) == {"one"}
    monkeypatch.setitem(AGGREGATES, "server", right)
    site.now += 4 * PAUSE_MIN_US
    settle(decider)
    states = decider.states("compute", 0, "server")
    assert states is not None and states[server.server_id].vm_state == "error"


def test_what_follows_from_a_fact_is_not_lost_by_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner that could not derive it counted it as delivered, and nobody sent it again."""
    site = Site()
    first = site.decider("first")
    settle(first)
    asked = create()
    id = site.ask(asked, asked.project_id)
    site.faults = lambda operation: Fault.UNAVAILABLE if operation.name == "append" else None
    settle(first)
    first._log.expel()  # type: ignore[attr-defined]
    site.faults = lambda operation: None
    assert site.events() and not site.records(topics.commands("fleet"))
    right = Effects.of
    monkeypatch.setattr(Effects, "of", broken)
    second = site.decider("second")
    for _ in range(2):
        site.now += ILL_US
        settle(second)
        (trouble,) = second.troubles()
        assert "what follows from it cannot be told: OverflowError" in trouble
    monkeypatch.setattr(Effects, "of", right)
    site.now += ILL_US
    settle(second)
    assert second.troubles() == []
    assert len(site.records(topics.commands("fleet"))) == 1
    assert id in site.answers()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_relay_that_ends_by_a_defect_ends_the_decider(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go on deciding, and nothing that follows would arrive."""
    ends, woken = threading.Event(), threading.Event()

    def run(outbox: Outbox) -> None:
        assert ends.wait(HANG_S)
        broken()

    monkeypatch.setattr(Outbox, "run", run)
    site = Site()
    decider = Decider(site.log("decider"), ("compute",), clock=lambda: site.now, codec=CODEC)
    monkeypatch.setattr(decider._member, "wake", woken.set)
    try:
        decider.step(0.0)
        ends.set()
        assert woken.wait(HANG_S), "a turn that waits for input goes on waiting"
        with pytest.raises(OverflowError):
            decider.step(0.0)
    finally:
        decider.close()
