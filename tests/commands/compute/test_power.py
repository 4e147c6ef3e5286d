from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from commands.compute import limits, power, power_state, reboot
from commands.compute.delete import RemoveGuest
from commands.compute.lock import LockServer, UnlockServer
from commands.compute.power_state import ReportPowerState
from events.compute.server import facts as f
from events.compute.server.overdue import EndOverdueOperation
from events.message import Command, Event
from tests.commands.compute.servers import (
    HOST,
    IMAGE,
    P,
    S,
    active,
    building,
    compute,
    created,
    error,
    stopped,
)
from tests.parts.given import NOW, Story


def done(kind: type, operation: int, **fields: object) -> Command:
    made: Command = kind(
        server_id=S, project_id=P, host=HOST, generation=1, operation=operation, **fields
    )
    return made


def states(story: Story) -> tuple[object, ...]:
    server = story.state("server", S)
    return server.vm_state, server.task_state, server.power_state


def test_stop() -> None:
    story = compute(*active()).when(power.StopServer(server_id=S))
    assert states(story) == ("active", "powering-off", 1)
    (work,) = story.follows(power.StopGuest)
    assert work.grace_s == 60
    story.when(done(power.ReportGuestStopped, 2, power_state=4)).happened(f.ServerStopped)
    assert states(story) == ("stopped", None, 4)


@pytest.mark.parametrize(
    ("asked", "grace_s"),
    [
        ("5", 5),
        (" 007 ", 7),
        ("0", 0),
        ("99999", 60),
        ("9" * 5000, 60),
        ("\u00b2", 60),
        ("\u0663", 60),
        ("-1", 60),
        ("1.5", 60),
        ("1_0", 60),
        ("soon", 60),
        ("", 60),
    ],
)
def test_the_image_says_how_long_its_guest_may_take_to_stop(asked: str, grace_s: int) -> None:
    properties = {"os_shutdown_timeout": asked}
    image = msgspec.structs.replace(IMAGE, properties=properties)
    history = [created(image=image), *active()[1:]]
    story = compute(*history).when(power.StopServer(server_id=S))
    (work,) = story.follows(power.StopGuest)
    assert work.grace_s == grace_s


def test_start() -> None:
    story = compute(*stopped()).when(power.StartServer(server_id=S))
    assert states(story) == ("stopped", "powering-on", 4)
    story.when(done(power.ReportGuestStarted, 3, power_state=1)).happened(f.ServerStarted)
    assert states(story) == ("active", None, 1)


def test_a_failed_stop_leaves_the_state_and_records_the_fault() -> None:
    story = compute(*active()).when(power.StopServer(server_id=S))
    story.when(done(power.ReportStopFailed, 2, reason="stuck")).happened(f.StopFailed)
    assert states(story) == ("active", None, 1)
    assert story.state("server", S).fault.message == "stuck"


@pytest.mark.parametrize("hard", [True, False])
def test_reboot(hard: bool) -> None:
    kind = "HARD" if hard else "SOFT"
    suffix = "_hard" if hard else ""
    story = compute(*active()).when(reboot.RebootServer(server_id=S, type=kind))
    assert states(story)[1] == f"rebooting{suffix}"
    (work,) = story.follows(reboot.RebootGuest)
    assert work.hard is hard
    story.when(done(reboot.ReportRebootStarted, 2))
    assert states(story)[1] == f"reboot_started{suffix}"
    story.when(done(reboot.ReportGuestRebooted, 2, power_state=1)).happened(f.ServerRebooted)
    assert states(story) == ("active", None, 1)


def test_a_soft_reboot_that_the_guest_ignores_turns_hard() -> None:
    story = compute(*active()).when(reboot.RebootServer(server_id=S, type="SOFT"))
    story.when(done(reboot.ReportSoftRebootUnanswered, 2)).happened(f.RebootTurnedHard)
    (work,) = story.follows(reboot.RebootGuest)
    assert work.hard
    assert work.operation == 3
    story.when(done(reboot.ReportGuestRebooted, 2, power_state=1)).happened(f.ReportIgnored)
    assert states(story)[1] == "rebooting_hard"


def test_a_hard_reboot_may_begin_over_a_soft_one() -> None:
    story = compute(*active()).when(reboot.RebootServer(server_id=S, type="SOFT"))
    story.when(reboot.RebootServer(server_id=S, type="SOFT")).refused(409, "task_state")
    story.when(reboot.RebootServer(server_id=S, type="HARD")).happened(f.RebootRequested)


@pytest.mark.parametrize(("power_state", "vm_state"), [(1, "active"), (4, "error")])
def test_a_failed_reboot(power_state: int, vm_state: str) -> None:
    story = compute(*active()).when(reboot.RebootServer(server_id=S, type="HARD"))
    story.when(done(reboot.ReportRebootFailed, 2, reason="x", power_state=power_state))
    assert states(story) == (vm_state, None, power_state)


@pytest.mark.parametrize(
    ("facts", "command", "blocked"),
    [
        (active(), power.StartServer(server_id=S), "vm_state active"),
        (stopped(), power.StopServer(server_id=S), "vm_state stopped"),
        (building(), power.StopServer(server_id=S), "vm_state building"),
        (stopped(), reboot.RebootServer(server_id=S, type="SOFT"), "vm_state stopped"),
        (error(), power.StopServer(server_id=S), "launched_at None"),
        (building(), reboot.RebootServer(server_id=S, type="HARD"), "vm_state building"),
    ],
)
def test_conflicts(facts: list[Event], command: Command, blocked: str) -> None:
    compute(*facts).when(command).refused(409, blocked)


def test_two_requests_race_and_one_wins() -> None:
    story = compute(*active()).when(power.StopServer(server_id=S)).happened(f.StopRequested)
    story.when(power.StopServer(server_id=S)).refused(409, "task_state powering-off")


def test_unknown_server() -> None:
    compute().when(power.StopServer(server_id=S)).refused(404, S)


def test_locked_servers_obey_only_admins() -> None:
    story = compute(*active()).when(LockServer(server_id=S, reason="mine"))
    story.when(power.StopServer(server_id=S)).refused(409, "locked")
    story.when(power.StopServer(server_id=S, admin=True)).happened(f.StopRequested)


def test_an_admins_lock_needs_an_override() -> None:
    story = compute(*active()).when(LockServer(server_id=S, by_admin=True))
    story.when(UnlockServer(server_id=S)).refused(403)
    story.when(UnlockServer(server_id=S, override=True)).happened(f.ServerUnlocked)
    assert not story.state("server", S).locked


def observed(
    power_state: int, generation: int = 1, host: str = HOST, operation: int = 0
) -> ReportPowerState:
    return ReportPowerState(
        operation=operation,
        server_id=S,
        project_id=P,
        generation=generation,
        host=host,
        power_state=power_state,
    )


def test_a_guest_that_halts_itself_is_a_stopped_server() -> None:
    story = compute(*active()).when(observed(4)).happened(f.GuestHalted)
    assert states(story) == ("stopped", None, 4)


def test_a_guest_that_runs_though_it_should_not_is_stopped_at_once() -> None:
    story = compute(*stopped()).when(observed(1)).happened(f.StopRequested)
    (work,) = story.follows(power.StopGuest)
    assert work.grace_s == 0


def test_a_pause_is_only_noted() -> None:
    story = compute(*active()).when(observed(3)).happened(f.PowerStateObserved)
    assert states(story) == ("active", None, 3)


def test_nothing_new_is_nothing() -> None:
    compute(*active()).when(observed(1)).nothing()
    compute(*stopped()).when(observed(4)).nothing()


@pytest.mark.parametrize(("history", "vm_state"), [(active, "active"), (stopped, "stopped")])
def test_a_guest_that_the_hypervisor_lost_has_no_power_state(
    history: Callable[[], list[Event]], vm_state: str
) -> None:
    story = compute(*history()).when(observed(0)).happened(f.PowerStateObserved)
    assert states(story) == (vm_state, None, 0)
    story.when(observed(0)).nothing()


def test_a_guest_of_no_server_that_is_not_there_is_nothing() -> None:
    compute().when(observed(0)).nothing()


def test_a_task_in_flight_is_not_disturbed() -> None:
    story = compute(*active()).when(power.StopServer(server_id=S))
    story.when(observed(4)).nothing()


def test_a_guest_of_an_older_attempt_is_removed_where_it_is() -> None:
    story = compute(*active()).when(observed(1, generation=0, host="host-9"))
    story.happened(f.StaleGuestFound)
    (work,) = story.follows(RemoveGuest)
    assert work.generation == 0
    assert [o.key for o in story.outgoing if o.topic == "compute.dispatch.host-9"] == ["host-9"]


def test_a_guest_left_over_of_a_failed_build_is_removed() -> None:
    """The removal had failed; the server has no host any more, and the same attempt's number."""
    story = compute(*error()).when(observed(1))
    story.happened(f.StaleGuestFound)
    assert len(story.follows(RemoveGuest)) == 1


def test_a_state_that_was_read_before_the_last_operation_says_nothing() -> None:
    """Read before a start and sent after its report: the server was called halted, then stopped."""
    story = compute(*stopped()).when(power.StartServer(server_id=S))
    story.when(done(power.ReportGuestStarted, 3, power_state=1))
    story.when(observed(4, operation=2)).nothing()
    story.when(observed(4, operation=3)).happened(f.GuestHalted)


def test_a_host_that_never_got_the_last_operation_is_heard_again() -> None:
    """Its order was lost with its topic. What it said of its guest was passed over for ever."""
    story = compute(*active()).when(power.StopServer(server_id=S))
    later = NOW + limits.STOP
    story.when(EndOverdueOperation(server_id=S, deadline=later), at=later)
    story.happened(f.StopFailed)
    story.when(observed(4, operation=1), at=later + power_state.LATE - 1).nothing()
    story.when(observed(4, operation=1), at=later + power_state.LATE).happened(f.GuestHalted)


def test_numbers_go_on_after_those_that_a_host_has_used() -> None:
    """The log was restored from a copy; the host would take what is older for done."""
    story = compute(*active()).when(observed(1, operation=7)).happened(f.OperationNumberRaised)
    story.when(power.StopServer(server_id=S))
    (work,) = story.follows(power.StopGuest)
    assert work.operation == 8


def test_a_host_is_believed_only_about_its_own_guests() -> None:
    story = compute(*active()).when(power.StopServer(server_id=S))
    forged = power.ReportGuestStopped(
        server_id=S, project_id=P, host="host-9", generation=1, operation=2, power_state=4
    )
    story.when(forged).happened(f.ReportIgnored)
    assert states(story) == ("active", "powering-off", 1)
