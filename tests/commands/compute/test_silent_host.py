"""The room of a guest on a silent host is nobody else's until the host has removed the guest."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from commands.compute.boot import ReportBootFailed
from commands.compute.delete import (
    DeleteServer,
    RemoveGuest,
    RemoveLeftover,
    ReportRemovalFailed,
)
from commands.fleet.place import ReleaseAllocation
from events.compute.server import Server
from events.compute.server import facts as f
from events.compute.server.overdue import EndOverdueOperation
from events.message import Event
from tests.commands.compute.servers import HOST, P, S, active, building, compute, created, selected
from tests.commands.compute.test_delete import removed
from tests.parts.given import Story


def silent(story: Story) -> Story:
    """The deadline of what is in flight passes."""
    server: Server = story.state("server", S)
    assert server.deadline is not None
    return story.when(
        EndOverdueOperation(server_id=S, deadline=server.deadline), at=server.deadline
    )


def release(story: Story) -> ReleaseAllocation:
    """What the last fact has the fleet do."""
    found: list[ReleaseAllocation] = story.follows(ReleaseAllocation)
    assert len(found) == 1
    return found[0]


def test_the_room_of_a_build_whose_host_is_silent_is_withheld_until_it_has_removed_it() -> None:
    story = silent(compute(*building())).happened(f.BootFailed)
    assert release(story).unconfirmed
    (work,) = story.follows(RemoveGuest)
    story.when(removed(work.operation, work.generation)).happened(f.GuestRemovalConfirmed)
    freed = release(story)
    assert (freed.server_id, freed.host, freed.generation) == (S, HOST, work.generation)
    assert not freed.unconfirmed
    assert story.state("server", S).vm_state == "error"


def test_the_room_of_a_server_that_was_deleted_meanwhile_is_released_late_too() -> None:
    story = silent(compute(*building()))
    (work,) = story.follows(RemoveGuest)
    story.when(DeleteServer(server_id=S)).happened(f.DeletionRequested, f.ServerDeleted)
    story.when(removed(work.operation, work.generation)).happened(f.GuestRemovalConfirmed)
    assert not release(story).unconfirmed


def test_the_room_of_a_delete_whose_host_is_silent_is_withheld_until_it_has_removed_it() -> None:
    story = silent(compute(*active()).when(DeleteServer(server_id=S))).happened(f.ServerDeleted)
    assert release(story).unconfirmed
    story.when(removed(2)).happened(f.GuestRemovalConfirmed)
    assert not release(story).unconfirmed


def test_a_host_that_could_not_remove_a_failed_build_keeps_its_room() -> None:
    story = compute(*building())
    about: dict[str, Any] = {"server_id": S, "project_id": P, "host": HOST, "generation": 1}
    story.when(ReportBootFailed(**about, operation=1, reason="no disk"))
    story.when(ReportRemovalFailed(**about, operation=2, reason="busy")).happened(f.BootFailed)
    assert release(story).unconfirmed


def test_a_host_that_says_that_a_build_failed_gives_its_room_back_at_once() -> None:
    story = compute(created(), selected(alternates=[]))
    about: dict[str, Any] = {"server_id": S, "project_id": P, "host": HOST, "generation": 1}
    story.when(ReportBootFailed(**about, operation=1, reason="no disk")).happened(f.BootFailed)
    assert not release(story).unconfirmed


def test_an_answered_delete_is_released_at_once_and_its_repetition_is_no_news() -> None:
    story = compute(*active()).when(DeleteServer(server_id=S)).when(removed(2))
    assert not release(story).unconfirmed
    story.when(removed(2)).nothing()


def test_another_host_cannot_say_that_it_is_gone() -> None:
    story = silent(compute(*building()))
    story.when(msgspec.structs.replace(removed(0), host="another")).nothing()


AGAIN = RemoveLeftover(server_id=S, project_id=P, host=HOST, generation=1)


def test_a_host_that_starts_is_asked_again_to_remove_a_failed_build() -> None:
    """Its second try had failed, too: the room was withheld for ever (seed 911148)."""
    story = compute(*building())
    about: dict[str, Any] = {"server_id": S, "project_id": P, "host": HOST, "generation": 1}
    story.when(ReportBootFailed(**about, operation=1, reason="no disk"))
    story.when(ReportRemovalFailed(**about, operation=2, reason="busy")).happened(f.BootFailed)
    story.when(ReportRemovalFailed(**about, operation=2, reason="busy")).happened(f.ReportIgnored)
    story.when(AGAIN).happened(f.StaleGuestFound)
    (work,) = story.follows(RemoveGuest)
    assert work.disks
    story.when(removed(work.operation, work.generation)).happened(f.GuestRemovalConfirmed)
    assert not release(story).unconfirmed


def test_a_host_that_starts_is_asked_again_to_remove_what_was_deleted() -> None:
    story = silent(compute(*active()).when(DeleteServer(server_id=S))).happened(f.ServerDeleted)
    story.when(AGAIN).happened(f.StaleGuestFound)
    (work,) = story.follows(RemoveGuest)
    assert (work.operation, work.disks) == (2, True)


@pytest.mark.parametrize("facts", [active(), building(), [created()], []])
def test_what_may_be_needed_is_not_removed(facts: list[Event]) -> None:
    compute(*facts).when(AGAIN).happened()
    assert compute(*facts).when(AGAIN).follows(RemoveGuest) == []
