"""Which fact may follow in which state, as data: Nova's transition table for what is built.

Source: Nova's vm states (https://docs.openstack.org/nova/latest/reference/vm-states.html). Each
fact names the states (vm_state, task_state) it may be recorded in and the state that it leads
to; ``SAME`` leaves that half as it was. A fact that is not here has no business in a history.
"""

from __future__ import annotations

from collections.abc import Mapping

from events.compute.server import Server
from events.compute.server import facts as f

State = tuple[str, str | None]

SAME = "="
REST = ("active", "stopped", "error")
BUILDING = ("networking", "block_device_mapping", "spawning")
SOFT = ("rebooting", "reboot_started")
HARD = ("rebooting_hard", "reboot_started_hard")


def _states(vm_states: tuple[str, ...], tasks: tuple[str | None, ...]) -> frozenset[State]:
    return frozenset((vm, task) for vm in vm_states for task in tasks)


TRANSITIONS: Mapping[str, tuple[frozenset[State], State]] = {
    fact.type_name: (_states(*before), after)
    for fact, before, after in (
        (f.ServersRequested, (("building",), ("scheduling",)), (SAME, SAME)),
        (f.HostSelected, (("building",), ("scheduling",)), ("building", "networking")),
        (f.PlacementFailed, (("building",), ("scheduling",)), ("error", None)),
        (f.ImageFetched, (("building",), ("networking",)), (SAME, "block_device_mapping")),
        (f.DisksCreated, (("building",), BUILDING[:2]), (SAME, "spawning")),
        (f.DomainStarted, (("building",), BUILDING), ("active", None)),
        (f.BuildAbandoned, (("building",), BUILDING), (SAME, SAME)),
        (f.BootFailed, (("building",), BUILDING), ("error", None)),
        (f.RescheduleRequested, (("error",), (None,)), ("building", "scheduling")),
        (f.StopRequested, (("active", "stopped", "error"), (None,)), (SAME, "powering-off")),
        (f.ServerStopped, (REST, ("powering-off",)), ("stopped", None)),
        (f.StopFailed, (REST, ("powering-off",)), (SAME, None)),
        (f.StartRequested, (("stopped",), (None,)), (SAME, "powering-on")),
        (f.ServerStarted, (("stopped",), ("powering-on",)), ("active", None)),
        (f.StartFailed, (("stopped",), ("powering-on",)), (SAME, None)),
        (f.RebootTurnedHard, (("active",), SOFT), (SAME, "rebooting_hard")),
        (f.ServerRebooted, (REST, (*SOFT, *HARD)), ("active", None)),
        (f.DeletionFailed, (("building", *REST), ("deleting",)), ("error", None)),
        (f.ServerDeleted, (("building", *REST), ("deleting",)), ("deleted", None)),
        (f.GuestHalted, (("active",), (None,)), ("stopped", None)),
        (f.PowerStateObserved, (REST, (None,)), (SAME, SAME)),
        (f.OperationProgressed, (("building",), BUILDING), (SAME, SAME)),
        (f.OperationNumberRaised, (REST, (None,)), (SAME, SAME)),
        (f.GuestAdopted, (REST, (None,)), ("building", "scheduling")),
    )
}

SEVERAL: Mapping[str, tuple[frozenset[State], frozenset[State]]] = {
    f.RebootRequested.type_name: (
        _states(REST, (None, *SOFT, "rebooting_hard")),
        _states(REST, ("rebooting", "rebooting_hard")),
    ),
    f.RebootStarted.type_name: (
        _states(REST, ("rebooting", "rebooting_hard")),
        _states(REST, ("reboot_started", "reboot_started_hard")),
    ),
    f.RebootFailed.type_name: (
        _states(REST, (*SOFT, *HARD)),
        _states(("active", "error"), (None,)),
    ),
    f.DeletionRequested.type_name: (
        _states(
            ("building", *REST),
            (None, "scheduling", *BUILDING, "powering-off", "powering-on", *SOFT, *HARD),
        ),
        _states(("building", *REST), ("deleting",)),
    ),
}
"""Facts that lead to one of several states."""

DESCRIBING = frozenset(
    fact.type_name
    for fact in (
        f.ServerRenamed,
        f.HostnameChanged,
        f.ServerDescribed,
        f.AccessAddressesChanged,
        f.DiskConfigChanged,
        f.ZonePinned,
        f.MetadataChanged,
        f.TagsChanged,
        f.ServerLocked,
        f.ServerUnlocked,
    )
)
"""Facts that may be recorded in any state but deleted, and change none."""

KNOWN = frozenset({f.ServerCreated.type_name, *TRANSITIONS, *SEVERAL, *DESCRIBING})
"""Every kind of fact about a server."""


def unlawful(fact: str, before: Server | None, after: Server | None) -> str | None:
    """Why this fact may not follow in that state, or may not lead to this one; else None."""
    was = (before.vm_state, before.task_state) if before is not None else None
    now = (after.vm_state, after.task_state) if after is not None else None
    if fact == f.ServerCreated.type_name:
        return None if was is None and now == ("building", "scheduling") else _said(fact, was, now)
    if was is None or now is None or was[0] == "deleted":
        return _said(fact, was, now)
    if fact in DESCRIBING:
        return None if was == now else _said(fact, was, now)
    if fact in SEVERAL:
        befores, afters = SEVERAL[fact]
        return None if was in befores and now in afters else _said(fact, was, now)
    if fact not in TRANSITIONS:
        return f"{fact} is in no transition table"
    befores, (vm, task) = TRANSITIONS[fact]
    meant = (was[0] if vm == SAME else vm, was[1] if task == SAME else task)
    return None if was in befores and now == meant else _said(fact, was, now)


def _said(fact: str, was: State | None, now: State | None) -> str:
    return f"{fact} in state {was} leading to {now}"
