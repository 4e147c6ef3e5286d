"""No task_state outlives its deadline: each has a way out."""

from __future__ import annotations

import msgspec
import pytest

from commands.compute import power, reboot
from commands.compute.delete import DeleteServer
from commands.compute.overdue import SILENT, UNPLACED
from events.compute.server import facts as f
from events.compute.server.overdue import EndOverdueOperation
from events.message import Command, Event
from handlers.decider.deadlines import PAUSE_MIN_US
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


def test_who_did_not_answer_is_said() -> None:
    story = compute(created())
    story.when(overdue(story.state("server", S)), at=story.state("server", S).deadline)
    assert story.state("server", S).fault.message == UNPLACED
    story = compute(*active()).when(reboot.RebootServer(server_id=S, type="HARD"))
    story.when(overdue(story.state("server", S)), at=story.state("server", S).deadline)
    assert story.state("server", S).fault.message == SILENT


def test_what_is_overdue_is_asked_for_and_again_after_a_pause() -> None:
    deadlines = compute(created()).partition.deadlines
    deadline = deadlines.next()
    assert deadline is not None
    assert deadlines.overdue(deadline - 1) == []
    (first,) = deadlines.overdue(deadline)
    assert isinstance(first.command, EndOverdueOperation)
    assert deadlines.overdue(deadline + 1) == []
    (second,) = deadlines.overdue(deadline + PAUSE_MIN_US)
    assert (second.attempt, second.id) == (1, f"{first.id}#1")


def test_a_deadline_of_something_that_ended_does_nothing() -> None:
    story = compute(*active())
    assert story.partition.deadlines.overdue(2**62) == []
    story.when(EndOverdueOperation(server_id=S, deadline=1)).nothing()


@pytest.mark.parametrize("task", ["pausing", "resize_prep", "image_snapshot"])
def test_an_operation_without_a_way_out_of_its_own_ends_in_error_never_in_a_delete(
    task: str,
) -> None:
    story = compute(*active())
    server = story.state("server", S)
    story.partition.states["server"][S] = msgspec.structs.replace(
        server, task_state=task, deadline=server.updated_at + 1
    )
    story.when(EndOverdueOperation(server_id=S, deadline=server.updated_at + 1))
    story.happened(f.OperationTimedOut)
    after = story.state("server", S)
    assert (after.vm_state, after.task_state, after.deadline) == ("error", None, None)
