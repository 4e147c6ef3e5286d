"""No task_state outlives its deadline: each has a way out."""

from __future__ import annotations

import pytest

from commands.compute import power, reboot
from commands.compute.delete import DeleteServer
from events.compute.server import facts as f
from events.compute.server.overdue import EndOverdueOperation
from events.message import Command, Event
from tests.commands.compute.servers import S, active, building, compute, created, stopped


def overdue(story_server: object) -> EndOverdueOperation:
    return EndOverdueOperation(server_id=S, deadline=story_server.deadline)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("facts", "command", "outcome"),
    [
        ([created()], None, [f.PlacementFailed]),
        (building(), None, [f.BootFailed]),
        (active(), power.StopServer(server_id=S), [f.StopFailed]),
        (stopped(), power.StartServer(server_id=S), [f.StartFailed]),
        (active(), reboot.RebootServer(server_id=S, type="SOFT"), [f.RebootTurnedHard]),
        (active(), reboot.RebootServer(server_id=S, type="HARD"), [f.RebootFailed]),
        (active(), DeleteServer(server_id=S), [f.ServerDeleted]),
    ],
)
def test_ways_out(facts: list[Event], command: Command | None, outcome: list[type[Event]]) -> None:
    story = compute(*facts)
    if command is not None:
        story.when(command)
    server = story.state("server", S)
    assert server.task_state is not None
    story.when(overdue(server), at=server.deadline).happened(*outcome)
    after = story.state("server", S)
    assert after is None or after.deadline != server.deadline


def test_the_partition_sends_itself_what_is_overdue_once() -> None:
    story = compute(created())
    deadline = story.partition.next_deadline()
    assert deadline is not None
    assert list(story.partition.overdue(deadline - 1)) == []
    (sent,) = story.partition.overdue(deadline)
    assert sent.topic == "compute.commands"
    assert list(story.partition.overdue(deadline + 1)) == []


def test_a_deadline_of_something_that_ended_does_nothing() -> None:
    story = compute(*active())
    assert list(story.partition.overdue(2**62)) == []
    story.when(EndOverdueOperation(server_id=S, deadline=1)).nothing()
