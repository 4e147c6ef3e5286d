"""What an agent says of its guests' power by itself."""

from __future__ import annotations

import pytest

from commands.compute.power_state import ReportPowerState
from events.log.contract import LogUnavailable
from events.log.memory import Fault
from handlers.compute import agent as agents
from handlers.compute.drivers.contract import (
    DriverError,
    HypervisorUnavailable,
    LifecycleEvent,
    PowerState,
)
from handlers.compute.drivers.simulated import SimulatedDriver
from handlers.compute.drivers.simulated_guests import SimulatedGuest
from handlers.performer import outbox as boxes
from handlers.performer.mark import Mark
from tests.commands.compute.servers import HOST, P, S
from tests.handlers.compute.drivers.rigs import until
from tests.handlers.compute.hosts import Host, built, stop

OTHER = "00000000-0000-4000-8000-000000000002"
LIMIT_S = 20.0


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


def with_another(host: Host) -> None:
    """A second guest, which runs."""
    other = SimulatedGuest(
        server_id=OTHER, project_id=P, generation=1, disks=True, state=PowerState.RUNNING
    )
    host.hypervisor.put(other)


def unreadable(host: Host, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The mark of the first guest cannot be read."""
    right = driver(host).mark

    def mark(server_id: str) -> Mark | None:
        if server_id == S:
            raise error
        return right(server_id)

    monkeypatch.setattr(driver(host), "mark", mark)


def test_a_defect_in_a_look_leaves_out_one_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread died, and no change of any guest was reported any more."""
    host = built()
    host.threads = 1
    host.start()
    with_another(host)
    unreadable(host, monkeypatch, OSError("a defect"))
    driver(host).guest_does(S, LifecycleEvent.STOPPED)
    driver(host).guest_does(OTHER, LifecycleEvent.STOPPED)

    def told() -> bool:
        assert host.agent is not None
        host.agent.step(0.0)
        return [report.server_id for report in power(host)] == [OTHER]

    until(told, LIMIT_S, "the other guest's state")
    assert host.defects == 1, "it was counted"
    assert host.agent is not None
    host.agent.close()


def test_a_guest_that_cannot_be_read_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The look at all guests ended with the first such one."""
    host = built()
    with_another(host)
    assert host.agent is not None
    unreadable(host, monkeypatch, DriverError("The disk does not give it."))
    assert host.agent.sync_power() == 1
    host.settle()
    assert [report.server_id for report in power(host)] == [OTHER]


def test_a_look_at_all_guests_ends_where_the_hypervisor_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each guest would wait for it."""
    host = built()
    assert host.agent is not None
    unreadable(host, monkeypatch, HypervisorUnavailable("It is away."))
    with pytest.raises(HypervisorUnavailable):
        host.agent.sync_power()


def full(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is away, and the outbox takes three reports."""
    monkeypatch.setattr(boxes, "RECORDS_MAX", 3)
    host.fault = lambda operation: Fault.UNAVAILABLE if operation.name == "append" else None


def looked(host: Host) -> None:
    """A turn of the loop, with the log away."""
    assert host.agent is not None
    with pytest.raises(LogUnavailable):
        host.agent.step(0.0)


def test_looks_at_all_guests_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each guest was said again every ten minutes, for as long as the log was away."""
    host = built()
    with_another(host)
    full(host, monkeypatch)
    assert host.agent is not None
    assert [host.agent.sync_power() for _ in range(5)] == [2, 1, 0, 0, 0]
    host.fault = lambda operation: None
    host.settle()
    assert len(power(host)) == 3
    assert host.agent.sync_power() == 2, "the next time all are said"


def test_changes_wait_while_much_is_unreported_and_the_last_one_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = built()
    with_another(host)
    full(host, monkeypatch)
    assert host.agent is not None
    while host.agent.sync_power():
        pass
    for event in (LifecycleEvent.STOPPED, LifecycleEvent.STARTED, LifecycleEvent.STOPPED):
        driver(host).guest_does(S, event)
        looked(host)
    host.fault = lambda operation: None
    host.settle()
    told = [(report.server_id, report.power_state) for report in power(host)]
    assert told[3:] == [(S, PowerState.SHUTDOWN)]


def test_what_is_said_once_is_said_though_much_is_unreported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The log lost what this host did: nobody says later which guests were here then."""
    host = built()
    for number in range(5):
        host.hypervisor.put(
            SimulatedGuest(server_id=f"{OTHER[:-1]}{number}", project_id=P, disks=True)
        )
    copy = host.copy()
    host.tell(stop(2))
    host.settle()
    for records in copy.values():
        records.clear()
    host.restore(copy)
    monkeypatch.setattr(boxes, "RECORDS_MAX", 1)
    host.settle()
    assert len({report.server_id for report in power(host)}) == 6
