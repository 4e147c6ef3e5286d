from __future__ import annotations

import pytest

from commands.compute import power
from commands.compute.boot import ReportDomainStarted
from commands.compute.delete import (
    DeleteServer,
    RemoveGuest,
    ReportGuestRemoved,
    ReportRemovalFailed,
)
from commands.compute.lock import LockServer
from commands.fleet.place import ReleaseAllocation
from events.compute.server import facts as f
from events.message import Event
from tests.commands.compute.servers import (
    HOST,
    P,
    S,
    active,
    building,
    compute,
    created,
    error,
    stopped,
)


def removed(operation: int, generation: int = 1) -> ReportGuestRemoved:
    return ReportGuestRemoved(
        server_id=S, project_id=P, host=HOST, generation=generation, operation=operation
    )


@pytest.mark.parametrize("facts", [building(), active(), stopped()])
def test_delete_on_a_host(facts: list[Event]) -> None:
    story = compute(*facts).when(DeleteServer(server_id=S))
    story.happened(f.DeletionRequested)
    (work,) = story.follows(RemoveGuest)
    story.when(removed(work.operation)).happened(f.ServerDeleted)
    assert story.state("server", S) is None
    assert story.state("project", P).instances == 0
    (release,) = story.follows(ReleaseAllocation)
    assert (release.host, release.generation) == (HOST, 1)


@pytest.mark.parametrize("facts", [[created()], error()])
def test_delete_without_a_host_is_done_at_once(facts: list[Event]) -> None:
    story = compute(*facts).when(DeleteServer(server_id=S))
    story.happened(f.DeletionRequested, f.ServerDeleted)
    assert story.follows(RemoveGuest) == []
    assert story.follows(ReleaseAllocation) == []
    assert story.state("project", P).cores == 0


def test_a_build_that_ends_while_it_is_deleted_does_not_count() -> None:
    story = compute(*building()).when(DeleteServer(server_id=S))
    late = ReportDomainStarted(
        server_id=S, project_id=P, host=HOST, generation=1, operation=1, power_state=1
    )
    story.when(late).happened(f.ReportIgnored)
    assert story.state("server", S).task_state == "deleting"


def test_deleting_twice_is_the_same_as_once() -> None:
    story = compute(*active()).when(DeleteServer(server_id=S))
    story.when(DeleteServer(server_id=S)).nothing()
    story.when(removed(2)).happened(f.ServerDeleted)
    story.when(DeleteServer(server_id=S)).refused(404)


def test_a_failed_removal_can_be_asked_for_again() -> None:
    story = compute(*active()).when(DeleteServer(server_id=S))
    story.when(
        ReportRemovalFailed(
            server_id=S, project_id=P, host=HOST, generation=1, operation=2, reason="busy"
        )
    ).happened(f.DeletionFailed)
    assert story.state("server", S).vm_state == "error"
    story.when(DeleteServer(server_id=S)).happened(f.DeletionRequested)


def test_a_clean_up_after_an_older_attempt_deletes_nothing() -> None:
    compute(*active()).when(removed(1, generation=0)).nothing()
    compute(*active()).when(removed(1)).nothing()


def test_locked() -> None:
    story = compute(*active()).when(LockServer(server_id=S))
    story.when(DeleteServer(server_id=S)).refused(409, "locked")


def test_delete_over_a_task() -> None:
    story = compute(*active()).when(power.StopServer(server_id=S))
    story.when(DeleteServer(server_id=S)).happened(f.DeletionRequested)
    late = power.ReportGuestStopped(
        server_id=S, project_id=P, host=HOST, generation=1, operation=2, power_state=4
    )
    story.when(late).happened(f.ReportIgnored)
