from __future__ import annotations

import msgspec
import pytest

from commands.compute import power, reboot
from commands.compute.delete import DeleteServer
from commands.compute.work_failed import ReportWorkFailed
from events.compute.server import facts as f
from events.message import Command, Event
from tests.commands.compute.servers import HOST, P, S, active, building, compute, stopped


def failed(operation: int, host: str = HOST) -> ReportWorkFailed:
    return ReportWorkFailed(
        server_id=S,
        project_id=P,
        host=host,
        generation=1,
        operation=operation,
        reason="The host does not know this work.",
    )


@pytest.mark.parametrize(
    ("facts", "request_", "operation", "ends"),
    [
        (building(), None, 1, f.BootFailed),
        (active(), power.StopServer(server_id=S), 2, f.StopFailed),
        (stopped(), power.StartServer(server_id=S), 3, f.StartFailed),
        (active(), reboot.RebootServer(server_id=S, type="HARD"), 2, f.RebootFailed),
        (active(), DeleteServer(server_id=S), 2, f.DeletionFailed),
    ],
)
def test_each_operation_that_a_host_cannot_do_ends_at_once(
    facts: list[Event], request_: Command | None, operation: int, ends: type[Event]
) -> None:
    story = compute(*facts)
    if request_ is not None:
        story.when(request_)
    story.when(failed(operation)).happened(ends)
    server = story.state("server", S)
    assert server is not None
    assert server.task_state is None
    assert "does not know" in server.fault.message


@pytest.mark.parametrize("task", ["pausing", "resize_prep", "image_snapshot"])
def test_an_operation_without_a_way_out_of_its_own_ends_with_the_hosts_reason(task: str) -> None:
    """It was recorded as a host that did not answer."""
    story = compute(*active())
    servers = story.partition.states["server"]
    servers[S] = msgspec.structs.replace(servers[S], task_state=task, deadline=1)
    story.when(failed(1)).happened(f.OperationTimedOut)
    server = story.state("server", S)
    assert (server.vm_state, server.task_state) == ("error", None)
    assert "does not know" in server.fault.message


@pytest.mark.parametrize(
    "report", [failed(1), failed(2, "host-9")], ids=["an older operation", "another host"]
)
def test_what_does_not_count_is_recorded(report: ReportWorkFailed) -> None:
    story = compute(*active()).when(power.StopServer(server_id=S))
    story.when(report).happened(f.ReportIgnored)
    assert story.state("server", S).task_state == "powering-off"


def test_work_that_could_not_even_be_named_is_recorded() -> None:
    compute().when(failed(0)).happened(f.ReportIgnored)
