"""A host whose log was restored from an older copy: it says again, keeps, makes nothing anew."""

from __future__ import annotations

from typing import Any

import pytest

from commands.compute.boot import ReportDomainStarted
from commands.compute.power_state import ReportPowerState
from events.log.contract import Outgoing
from events.log.memory import MemoryLog
from handlers.compute.drivers.contract import PowerState
from tests.handlers.compute.hosts import REPORTS, Host, build, remove, stop


def reported(host: Host, kind: type) -> list[Any]:
    return [report for _, report in host.reports() if isinstance(report, kind)]


def test_it_says_again_what_the_lost_part_of_the_log_contained() -> None:
    """Its topic is as it was: only its own report is lost."""
    host = Host()
    host.tell(build())
    copy = host.copy()
    host.settle()
    assert reported(host, ReportDomainStarted)
    host.restore(copy)
    assert host.reports() == []
    host.settle()
    assert [one.operation for one in reported(host, ReportDomainStarted)] == [1]
    assert host.starts == 1


def test_it_does_so_once() -> None:
    host = Host()
    host.tell(build())
    copy = host.copy()
    host.settle()
    host.restore(copy)
    host.settle()
    before = host.reported()
    host.agent = None
    host.settle()
    assert host.reported() == before


def test_a_guest_that_did_more_than_the_log_knows_was_built() -> None:
    """Else the build would fail by its deadline, with a guest that is there."""
    host = Host()
    host.tell(build())
    copy = host.copy()
    host.settle()
    host.tell(stop(2))
    host.settle()
    host.restore(copy)
    host.settle()
    (built,) = reported(host, ReportDomainStarted)
    assert (built.operation, built.power_state) == (1, PowerState.SHUTDOWN)
    (seen,) = reported(host, ReportPowerState)
    assert (seen.operation, seen.ahead) == (2, True)


@pytest.mark.parametrize("bookmark", [True, False], ids=["", "its bookmark is lost"])
def test_what_was_removed_is_not_built_again_with_an_empty_disk(bookmark: bool) -> None:
    host = Host()
    host.tell(build())
    copy = host.copy()
    host.settle()
    host.tell(remove(2))
    host.settle()
    host.restore(copy)
    if not bookmark:
        host.disk.content = None
    host.settle()
    assert host.guest is None
    assert host.starts == 1
    assert "ReportWorkFailed" in host.reported()
    (gone,) = reported(host, ReportPowerState)
    assert (gone.operation, gone.power_state) == (2, PowerState.NOSTATE)


def test_a_removal_for_ignorance_leaves_the_guest_and_one_that_is_wanted_does_not() -> None:
    """A restored log may give a build up by its deadline before its host is heard again."""
    host = Host()
    host.tell(build())
    copy = host.copy()
    host.settle()
    host.restore(copy)
    host.tell(remove(1))
    host.settle()
    assert host.state is PowerState.RUNNING
    assert "ReportRemovalFailed" in host.reported()
    host.tell(remove(2))
    host.settle()
    assert host.guest is None


def test_a_host_that_comes_back_late_is_not_deceived() -> None:
    """Others wrote to the restored log meanwhile: it is longer than it was."""
    host = Host()
    host.tell(build())
    copy = host.copy()
    host.settle()
    host.restore(copy)
    others = MemoryLog(cluster=host.cluster, process="test")
    others.append([Outgoing(REPORTS, "", b"", {}, 0)] * 20)
    host.now += 2 * 3600 * 1_000_000
    host.settle()
    assert host.guest is not None
    assert host.guest.mark is not None
    assert host.guest.mark.ahead


def test_a_log_that_did_not_go_back_is_read_once() -> None:
    host = Host()
    host.tell(build())
    host.settle()
    before = host.reported()
    host.agent = None
    host.settle()
    assert host.reported() == before
    assert host.guest is not None
    assert host.guest.mark is not None
    assert not host.guest.mark.ahead
