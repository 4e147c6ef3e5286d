"""What an agent says of its guests' power by itself."""

from __future__ import annotations

import pytest

from commands.compute.power_state import ReportPowerState
from handlers.compute import agent as agents
from handlers.compute.drivers.contract import LifecycleEvent
from handlers.compute.drivers.simulated import SimulatedDriver
from tests.commands.compute.servers import HOST, S
from tests.handlers.compute.hosts import Host, built, stop


def power(host: Host) -> list[ReportPowerState]:
    return [report for _, report in host.reports() if isinstance(report, ReportPowerState)]


def driver(host: Host) -> SimulatedDriver:
    assert host.agent is not None
    found = host.agent._hosts[HOST]
    assert isinstance(found, SimulatedDriver)
    return found


def test_a_guest_that_halts_itself_is_reported_with_the_last_operation() -> None:
    host = built()
    driver(host).guest_does(S, LifecycleEvent.STOPPED)
    host.settle()
    (report,) = power(host)
    assert (report.power_state, report.generation, report.operation) == (4, 1, 1)


def test_what_the_host_does_itself_is_not_reported_beside_its_report() -> None:
    host = built()
    host.tell(stop(2))
    host.settle()
    assert power(host) == []


def test_the_operation_goes_with_each_look_at_all_guests() -> None:
    host = built()
    host.tell(stop(2))
    host.settle()
    assert host.agent is not None
    assert host.agent.sync_power() == 1
    host.settle()
    assert [report.operation for report in power(host)] == [2]


def test_a_storm_of_events_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event started a thread of its own."""
    monkeypatch.setattr(agents, "LOOKS_MAX", 1)
    host = built()
    for _ in range(3):
        driver(host).guest_does(S, LifecycleEvent.STOPPED)
        driver(host).guest_does(S, LifecycleEvent.STARTED)
    host.settle()
    assert len(power(host)) == 1
