from __future__ import annotations

import msgspec
import pytest

from commands.compute import power_state as observing
from commands.compute.boot import BuildGuest, ReportBootFailed, SelectHost
from commands.compute.delete import DeleteServer, RemoveGuest, ReportGuestRemoved
from commands.compute.power_state import ReportPowerState
from commands.compute.unknown_guest import AdoptGuest, RemoveUnknownGuest
from commands.fleet.place import PlaceServers
from events.compute import departed
from events.compute.server import facts as f
from events.compute.server.overdue import EndOverdueOperation
from events.compute.unknown_guest import (
    UnknownGuestFound,
    UnknownGuestRemovalOrdered,
    UnknownGuestSettled,
    guest_id,
)
from tests.commands.compute.servers import HOST, P, S, active, building, compute, error, selected
from tests.parts.given import NOW, Story


def seen(
    generation: int = 1,
    host: str = HOST,
    power_state: int = 1,
    operation: int = 1,
    ahead: bool = False,
) -> ReportPowerState:
    return ReportPowerState(
        server_id=S,
        project_id=P,
        generation=generation,
        host=host,
        power_state=power_state,
        operation=operation,
        ahead=ahead,
    )


def silent_delete(story: Story) -> Story:
    """The server is deleted while its host says nothing."""
    story.when(DeleteServer(server_id=S))
    deadline = story.state("server", S).deadline
    return story.when(EndOverdueOperation(server_id=S, deadline=deadline), at=deadline)


def test_a_guest_that_the_log_does_not_know_is_left_alone() -> None:
    story = compute().when(seen()).happened(UnknownGuestFound)
    assert story.follows(RemoveGuest) == []
    assert story.state("unknown_guest", guest_id(HOST, S)).reason


def test_an_unknown_guest_is_recorded_once() -> None:
    compute().when(seen()).when(seen(power_state=4)).nothing()


def test_one_host_cannot_fill_the_memory_with_unknown_guests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(observing, "UNKNOWN_MAX", 1)
    story = compute().when(seen()).happened(UnknownGuestFound)
    another = ReportPowerState(
        server_id="another", project_id=P, generation=1, host=HOST, power_state=1
    )
    story.when(another).nothing()
    story.when(msgspec.structs.replace(another, host="host-9")).happened(UnknownGuestFound)
    story.when(RemoveUnknownGuest(host=HOST, server_id=S))
    story.when(seen(power_state=0)).happened(UnknownGuestSettled)
    story.when(another).happened(UnknownGuestFound)


@pytest.mark.parametrize(
    "report",
    [seen(generation=2), seen(host="host-9")],
    ids=["a placement that the log does not know", "the same placement on another host"],
)
def test_what_a_restored_log_does_not_know_is_left_alone(report: ReportPowerState) -> None:
    story = compute(*active()).when(report).happened(UnknownGuestFound)
    assert story.follows(RemoveGuest) == []


def test_a_guest_whose_server_was_deleted_behind_its_host_is_removed() -> None:
    story = silent_delete(compute(*active())).happened(f.ServerDeleted)
    story.when(seen()).happened(f.StaleGuestFound)
    (work,) = story.follows(RemoveGuest)
    assert work.disks
    assert work.version > (1, 1, 0)


def test_a_deletion_that_the_host_confirmed_needs_no_memory() -> None:
    story = compute(*active()).when(DeleteServer(server_id=S))
    gone = ReportGuestRemoved(server_id=S, project_id=P, host=HOST, generation=1, operation=2)
    story.when(gone).happened(f.ServerDeleted)
    assert story.state("departed", P) is None
    story.when(seen()).happened(UnknownGuestFound)


def test_a_forgotten_deletion_makes_a_guest_unknown_and_removes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(departed, "KEPT_MAX", 1)
    monkeypatch.setattr(departed, "SLACK", 0)
    story = silent_delete(compute(*active()))
    later = f.ServerDeleted(
        at=NOW + 10**12,
        server_id="z",
        project_id=P,
        vcpus=0,
        ram_mib=0,
        generation=1,
        leftovers=True,
    )
    story.having(later).when(seen()).happened(UnknownGuestFound)


def test_the_disks_of_a_server_that_lives_elsewhere_are_kept() -> None:
    """With shared storage they are the living server's."""
    story = compute(*active()).when(seen(generation=0, host="host-9")).happened(f.StaleGuestFound)
    (work,) = story.follows(RemoveGuest)
    assert not work.disks


def test_the_disks_of_a_failed_build_are_removed() -> None:
    story = compute(*error()).when(seen())
    (work,) = story.follows(RemoveGuest)
    assert work.disks


def test_a_guest_that_was_built_before_the_log_went_back_is_left_alone() -> None:
    """The log only missed the host's word of it: its build failed by a deadline."""
    story = compute(*error()).when(seen(ahead=True)).happened(UnknownGuestFound)
    assert story.follows(RemoveGuest) == []


def test_a_deleted_server_s_guest_goes_also_where_the_log_went_back() -> None:
    story = silent_delete(compute(*active()))
    story.when(seen(operation=7, ahead=True)).happened(f.StaleGuestFound)
    (work,) = story.follows(RemoveGuest)
    assert work.version[:2] > (1, 7)


def test_a_guest_that_was_removed_before_the_log_went_back_is_seen_as_gone() -> None:
    story = compute(*active()).when(seen(power_state=0, operation=5))
    story.happened(f.OperationNumberRaised, f.PowerStateObserved)
    assert story.state("server", S).power_state == 0
    assert story.state("server", S).operation == 5


def test_a_guest_that_was_stopped_before_the_log_went_back_is_seen_as_off() -> None:
    """By one report: the next one comes ten minutes later."""
    story = compute(*active()).when(seen(power_state=4, operation=2, ahead=True))
    story.happened(f.OperationNumberRaised, f.GuestHalted)
    assert story.state("server", S).vm_state == "stopped"


def test_removal_by_the_operator() -> None:
    story = compute().when(seen(operation=7))
    story.when(RemoveUnknownGuest(host=HOST, server_id=S)).happened(UnknownGuestRemovalOrdered)
    (work,) = story.follows(RemoveGuest)
    assert work.disks
    assert work.version == (1, 8, 1), "newer than all that the guest did"
    gone = ReportGuestRemoved(server_id=S, project_id=P, host=HOST, generation=1, operation=7)
    story.when(gone).happened(UnknownGuestSettled, f.GuestRemovalConfirmed)
    assert story.state("unknown_guest", guest_id(HOST, S)) is None


def test_nothing_is_removed_that_was_not_found() -> None:
    compute().when(RemoveUnknownGuest(host=HOST, server_id=S)).refused(404, HOST)


def adopted() -> Story:
    """The log has the server in error, without a host; the host has its guest."""
    story = compute(*error()).when(seen(generation=3, operation=5)).happened(UnknownGuestFound)
    story.when(AdoptGuest(host=HOST, server_id=S))
    return story.happened(f.GuestAdopted, UnknownGuestSettled)


def test_an_adopted_guest_s_server_is_placed_on_its_host_again() -> None:
    story = adopted()
    (asked,) = story.follows(PlaceServers)
    assert (asked.spec.requested_host, asked.spec.forced) == (HOST, True)
    choice = SelectHost(server_id=S, project_id=P, generation=4, host=HOST, node=HOST)
    story.when(choice).happened(f.HostSelected)
    (work,) = story.follows(BuildGuest)
    assert work.version == (4, 6, 0), "newer than all that the host has done"


def test_a_failed_adoption_touches_neither_guest_nor_disks() -> None:
    story = adopted().having(selected(generation=4))
    failed = ReportBootFailed(
        server_id=S, project_id=P, host=HOST, generation=4, operation=6, reason="no image"
    )
    story.when(failed).happened(f.BootFailed)
    assert story.follows(RemoveGuest) == []
    story.when(seen(generation=3)).happened(UnknownGuestFound)


def test_only_a_server_that_exists_can_take_a_guest() -> None:
    story = compute().when(seen())
    story.when(AdoptGuest(host=HOST, server_id=S)).refused(404, "no server")


def test_a_server_that_runs_elsewhere_takes_no_guest() -> None:
    story = compute(*active()).when(seen(generation=2, host="host-9"))
    story.when(AdoptGuest(host="host-9", server_id=S)).refused(409, HOST)


def test_a_busy_server_takes_no_guest() -> None:
    story = compute(*building()).when(seen(generation=2))
    story.when(AdoptGuest(host=HOST, server_id=S)).refused(409, "networking")


def test_a_guest_that_the_log_comes_to_know_is_unknown_no_longer() -> None:
    story = compute().when(seen()).having(*active())
    story.when(seen()).happened(UnknownGuestSettled)
