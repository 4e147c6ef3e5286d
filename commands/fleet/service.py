"""The compute service of a host: in or out of scheduling, alive or not, part of the fleet or not.

Saying what is so already is accepted and changes nothing.
"""

from __future__ import annotations

from typing import Annotated

from commands.decision import Decision, View, accept, decides, decides_on_view, refuse
from commands.fleet.place import released_by, withheld_on
from events.fleet.host import (
    Host,
    ServiceCameUp,
    ServiceDeleted,
    ServiceDisabled,
    ServiceEnabled,
    ServiceForcedDown,
    ServiceForceDownLifted,
    ServiceWentDown,
)
from events.fleet.host_aggregate import HostAggregate, HostRemovedFromAggregate
from events.message import Command, Event, HostName, Text


class EnableService(Command, frozen=True, kw_only=True):
    """Put a host back into scheduling."""

    host: HostName


class DisableService(Command, frozen=True, kw_only=True):
    """Take a host out of scheduling."""

    host: HostName
    reason: Annotated[Text | None, "Why, in the operator's words."] = None


class ForceDownService(Command, frozen=True, kw_only=True):
    """Declare a host dead, or let its heartbeats count again."""

    host: HostName
    forced_down: Annotated[bool, "Whether it is to count as dead."]


class DeleteService(Command, frozen=True, kw_only=True):
    """Take a host out of the fleet for good."""

    host: HostName


class ReportServiceDown(Command, frozen=True, kw_only=True):
    """A host's service has been silent for longer than service_down_time, or said that it ends."""

    host: HostName
    silent_s: Annotated[float, "For how long, in seconds."]
    ended: Annotated[bool, "It said that it ends; false: it just was not heard."] = False


class ReportServiceUp(Command, frozen=True, kw_only=True):
    """A host's service, silent before, was heard again."""

    host: HostName


def _unknown(host: str) -> Decision:
    return refuse(404, "itemNotFound", f"Compute host {host} could not be found.")


@decides(EnableService, "host", key="host")
def enable(host: Host | None, command: EnableService, at: int) -> Decision:
    """Enable; the reason it was disabled for is forgotten."""
    if host is None or host.deleted:
        return _unknown(command.host)
    if not host.disabled:
        return accept()
    return accept(ServiceEnabled(at=at, host=command.host))


@decides(DisableService, "host", key="host")
def disable(host: Host | None, command: DisableService, at: int) -> Decision:
    """Disable; another reason replaces the former one."""
    if host is None or host.deleted:
        return _unknown(command.host)
    if host.disabled and host.disabled_reason == command.reason:
        return accept()
    return accept(ServiceDisabled(at=at, host=command.host, reason=command.reason))


@decides_on_view(ForceDownService)
def force_down(view: View, command: ForceDownService, at: int) -> Decision:
    """Declare dead, or lift that. A dead host runs no guest: room that waited for its word is
    released."""
    host: Host | None = view.get("host", command.host)
    if host is None or host.deleted:
        return _unknown(command.host)
    if host.forced_down == command.forced_down:
        return accept()
    if command.forced_down:
        released = [
            released_by(view.get("allocation", id), "forced down", at)
            for id in withheld_on(view, command.host)
        ]
        return accept(ServiceForcedDown(at=at, host=command.host), *released)
    return accept(ServiceForceDownLifted(at=at, host=command.host))


@decides_on_view(DeleteService)
def delete(view: View, command: DeleteService, at: int) -> Decision:
    """Delete, and leave all aggregates; refused while servers are on the host."""
    host: Host | None = view.get("host", command.host)
    if host is None or host.deleted:
        return _unknown(command.host)
    if host.servers:
        return refuse(
            409,
            "conflictingRequest",
            "Unable to delete compute service that is hosting instances. "
            "Migrate or delete the instances first.",
        )
    aggregates: list[HostAggregate] = [view.get("host_aggregate", id) for id in host.aggregates]
    left: list[Event] = [
        HostRemovedFromAggregate(at=at, aggregate_id=aggregate.id, host=command.host)
        for aggregate in sorted(aggregates, key=lambda aggregate: aggregate.number)
    ]
    return accept(*left, ServiceDeleted(at=at, host=command.host))


@decides(ReportServiceDown, "host", key="host")
def report_down(host: Host | None, command: ReportServiceDown, at: int) -> Decision:
    """Note it once. A host that is no longer known needs no note."""
    if host is None or host.deleted or not host.up:
        return accept()
    return accept(
        ServiceWentDown(at=at, host=command.host, silent_s=command.silent_s, ended=command.ended)
    )


@decides(ReportServiceUp, "host", key="host")
def report_up(host: Host | None, command: ReportServiceUp, at: int) -> Decision:
    """Note it once. A host that is no longer known needs no note."""
    if host is None or host.deleted or host.up:
        return accept()
    return accept(ServiceCameUp(at=at, host=command.host))
