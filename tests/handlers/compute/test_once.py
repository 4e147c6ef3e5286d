"""An order is done once, whatever dies and whenever: the agent is killed at each step of each."""

from __future__ import annotations

import pytest

from commands.compute.guest import GuestWork
from events.log.memory import Fault, Operation
from handlers.compute.drivers.contract import PowerState
from handlers.compute.performing import PERFORMANCES
from tests.handlers.compute.hosts import (
    Host,
    build,
    built,
    reboot,
    remove,
    start,
    stop,
    works,
)

ENDS = {
    # name: starts of the guest that it takes, state afterwards, the report that ends it
    "build": (1, PowerState.RUNNING, "ReportDomainStarted"),
    "stop": (0, PowerState.SHUTDOWN, "ReportGuestStopped"),
    "start": (1, PowerState.RUNNING, "ReportGuestStarted"),
    "hard reboot": (1, PowerState.RUNNING, "ReportGuestRebooted"),
    "soft reboot": (1, PowerState.RUNNING, "ReportGuestRebooted"),
    "remove": (0, PowerState.NOSTATE, "ReportGuestRemoved"),
}


def test_every_kind_of_work_on_guests_is_tried() -> None:
    """A new one has its row above, and is told by ``works``."""
    assert ENDS.keys() == works().keys()
    assert {tell(2).type_name for tell in works().values()} == PERFORMANCES.keys()


def prepared(name: str) -> tuple[Host, int]:
    """A host in which the order makes sense, and the order's number."""
    if name == "build":
        return Host(), 1
    host = built()
    if name == "start":
        host.tell(stop(2))
        host.settle()
        return host, 3
    return host, 2


def performed(name: str, at: int | None) -> tuple[Host, int]:
    """The order is performed, and the agent dies at point ``at``. How many points there were."""
    host, operation = prepared(name)
    before = host.starts
    host.points.passed, host.points.at = 0, at
    id = host.tell(works()[name](operation))
    host.settle()
    passed = host.points.passed
    starts, state, report = ENDS[name]
    assert host.starts - before == starts, f"killed at point {at}: started {host.starts - before}"
    assert host.state is state
    ids = {i for i, one in host.reports() if type(one).__name__ == report and i.startswith(id)}
    assert ids == {f"{id}:compute.{report}"}
    assert "ReportWorkFailed" not in host.reported()
    return host, passed


@pytest.mark.parametrize("name", list(ENDS))
def test_killed_at_each_step(name: str) -> None:
    _, points = performed(name, None)
    assert points > 5
    for at in range(1, points + 1):
        host, _ = performed(name, at)
        assert host.agents > 1


@pytest.mark.parametrize("name", list(ENDS))
@pytest.mark.parametrize("lost", [False, True], ids=["not written", "the answer is lost"])
def test_the_log_is_away_between_effect_and_report(name: str, lost: bool) -> None:
    """Two hard reboots for one request: the work was read again after a failed write."""
    host, operation = prepared(name)
    before = host.starts
    away = [True, True]

    def unavailable(asked: Operation) -> Fault | None:
        if asked.name == "append" and away:
            away.pop()
            return Fault.UNAVAILABLE_AFTER if lost else Fault.UNAVAILABLE
        return None

    host.fault = unavailable
    host.tell(works()[name](operation))
    for _ in range(4):
        try:
            (host.agent or host.start()).step(0.0)
        except Exception as error:  # noqa: BLE001 - it is the log's, as the loop sees it
            assert type(error).__name__ == "LogUnavailable"
    host.settle()
    starts, state, report = ENDS[name]
    assert (host.starts - before, host.state) == (starts, state)
    assert report in host.reported()
    assert host.agents == 1


def test_work_that_was_done_is_only_reported_again() -> None:
    host = built()
    host.tell(reboot(2))
    host.settle()
    starts = host.starts
    host.disk.content, host.agent = None, None  # the bookmark is lost: all is read again
    host.settle()
    assert host.starts == starts
    assert host.reported().count("ReportGuestRebooted") == 2
    ids = [id for id, one in host.reports() if type(one).__name__ == "ReportGuestRebooted"]
    assert len(set(ids)) == 1


def test_a_failure_is_only_reported_again() -> None:
    host = built()
    assert host.guest is not None
    host.guest.disks = False  # a hard reboot cannot be
    host.tell(reboot(2))
    host.settle()
    assert host.reported()[-1] == "ReportRebootFailed"
    host.guest.disks = True
    host.disk.content, host.agent = None, None
    host.settle()
    assert host.starts == 1
    assert host.reported().count("ReportRebootFailed") == 2


def test_a_delivery_that_was_made_twice_is_taken_once() -> None:
    host = built()
    id = host.tell(stop(2))
    host.settle()
    host.tell(stop(2), id)
    host.settle()
    assert host.reported().count("ReportGuestStopped") == 1
    host.agent = None
    host.tell(stop(2), id)
    host.settle()
    assert host.reported().count("ReportGuestStopped") == 1


def test_what_was_superseded_before_the_start_is_never_begun() -> None:
    host = Host()
    for work in (build(), stop(2), start(3), remove(4)):
        host.tell(work)
    host.settle()
    assert host.starts == 0
    assert host.guest is None
    assert host.outcomes == [
        ("BuildGuest", "superseded"),
        ("StopGuest", "superseded"),
        ("StartGuest", "superseded"),
        ("RemoveGuest", "done"),
    ]


@pytest.mark.parametrize("first", [True, False])
def test_the_removal_of_a_build_that_was_given_up_supersedes_it(first: bool) -> None:
    """Both have the build's numbers; the guest was built to its end, beside the next one."""
    host = Host()
    pair: list[GuestWork] = [build(), remove(1)]
    for work in pair if first else reversed(pair):
        host.tell(work)
    host.settle()
    assert host.guest is None


def test_a_late_copy_of_a_build_does_not_bring_a_removed_guest_back() -> None:
    host = built()
    host.tell(remove(2))
    host.settle()
    host.tell(build(), "from elsewhere")
    host.settle()
    assert host.guest is None
    assert host.outcomes[-1] == ("BuildGuest", "superseded")


def test_an_order_older_than_what_was_done_fails_and_says_so() -> None:
    """The log was restored from a copy, and counts on from lower numbers."""
    host = built()
    host.tell(stop(7))
    host.settle()
    host.agent = None
    host.cluster.partitions[f"compute.dispatch.{'host-1'}", 0].records.clear()
    host.told = 0
    host.tell(start(3))
    host.settle()
    _, report = host.reports()[-1]
    assert type(report).__name__ == "ReportWorkFailed"
    assert report.operation == 3
    assert "operation 7" in report.reason
    assert host.state is PowerState.SHUTDOWN


def test_a_guest_without_its_disks_going_too_keeps_them() -> None:
    host = built()
    host.tell(remove(2, disks=False))
    host.settle()
    assert host.state is PowerState.NOSTATE
    assert host.guest is not None
    assert host.guest.disks
