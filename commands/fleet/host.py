"""A host's agent says what the host is and has: at its start, and when it changed.

Reports that say nothing new write no event, so an agent may send them as often as it likes.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from commands.decision import Decision, View, accept, decides, decides_on_view, refuse
from commands.fleet.place import withheld_on
from commands.work import Order
from events.fleet.allocation import Allocation, RemovalAskedAgain
from events.fleet.host import (
    Host,
    HostRegistered,
    HostRegistrationRefused,
    Inventories,
    InventoryChanged,
    ServiceCameUp,
    Traits,
)
from events.fleet.inventory import Hypervisor, unsound
from events.fleet.request import SHARD
from events.fleet.shard import EMPTY, ShardState
from events.message import Command, Event, HostName

BOOT_JITTER = 5_000_000
"""Microseconds by which two computations of the same boot time may differ."""


ASKED_MAX = 500
"""Guests that a host is asked to remove when it starts; the next start asks for the rest."""


class RegisterHost(Command, frozen=True, kw_only=True):
    """A host's agent has started."""

    from_hosts = True
    host: HostName
    node_id: Annotated[str, "UUID of the compute node; the agent keeps it for ever."]
    service_id: Annotated[str, "UUID for the nova-compute service, used if it is a new one."]
    public_key: Annotated[str, "Ed25519 key (hex) that it proves with who it is."] = ""
    hypervisor: Annotated[Hypervisor, "Facts about the node."]
    inventories: Inventories
    traits: Traits = []


class ReportInventory(Command, frozen=True, kw_only=True):
    """What a running agent sees now. Believed of the host whose compute node it names."""

    from_hosts = True
    host: HostName
    node_id: Annotated[str, "UUID of the compute node; no other host knows it."]
    hypervisor: Annotated[Hypervisor, "Facts about the node."]
    inventories: Inventories
    traits: Traits = []


class EndAgent(Order, frozen=True, kw_only=True):
    """End the agent of this node: the host's name belongs to another one."""

    subject_field: ClassVar[str] = "node_id"
    node_id: Annotated[str, "UUID of the node whose agent is meant."]
    reason: Annotated[str, "One sentence for the agent's log."]


Report = RegisterHost | ReportInventory


@decides_on_view(RegisterHost)
def register_host(view: View, command: RegisterHost, at: int) -> Decision:
    """Take the host into the fleet, or note what changed since. An agent that starts is alive, and
    may succeed in what it failed in before: what it may have left of guests is to be removed.

    The first key counts: whoever can write reports could else pass for any host.
    """
    if (reason := unsound(command.hypervisor, command.inventories)) is not None:
        return refuse(400, "badRequest", reason)
    host: Host | None = view.get("host", command.host)
    if host is None or host.deleted:
        return accept(_registered(view.get("shard", SHARD) or EMPTY, command, at))
    if host.node_id != command.node_id:
        return accept(
            HostRegistrationRefused(
                at=at, host=command.host, node_id=command.node_id, known_node_id=host.node_id
            )
        )
    if host.public_key != command.public_key:
        return refuse(
            409,
            "conflictingRequest",
            f"Host {command.host} has another key. If it was lost, delete its compute service.",
        )
    events: list[Event] = _changes(host, command, at)
    if not host.up:
        events.append(ServiceCameUp(at=at, host=command.host))
    return accept(*events, *_asked_again(view, command.host, at))


def _asked_again(view: View, host: str, at: int) -> list[RemovalAskedAgain]:
    claims: list[Allocation] = [view.get("allocation", id) for id in withheld_on(view, host)]
    oldest = sorted(claims, key=lambda claim: (claim.claimed_at, claim.server_id))
    return [
        RemovalAskedAgain(
            at=at,
            server_id=claim.server_id,
            host=host,
            generation=claim.generation,
            project_id=claim.project_id,
        )
        for claim in oldest[:ASKED_MAX]
    ]


def _registered(shard: ShardState, command: RegisterHost, at: int) -> HostRegistered:
    return HostRegistered(
        at=at,
        host=command.host,
        number=shard.hosts_numbered + 1,
        node_id=command.node_id,
        service_id=command.service_id,
        public_key=command.public_key,
        hypervisor=command.hypervisor,
        inventories=command.inventories,
        traits=sorted(command.traits),
    )


@decides(ReportInventory, "host", key="host")
def report_inventory(host: Host | None, command: ReportInventory, at: int) -> Decision:
    """Note what changed."""
    if host is None or host.deleted:
        return refuse(404, "itemNotFound", f"Compute host {command.host} could not be found.")
    if host.node_id != command.node_id:
        return refuse(403, "forbidden", f"Compute host {command.host} is another node.")
    if (reason := unsound(command.hypervisor, command.inventories)) is not None:
        return refuse(400, "badRequest", reason)
    return accept(*_changes(host, command, at))


def _changes(host: Host, report: Report, at: int) -> list[Event]:
    if (
        host.inventories == report.inventories
        and host.traits == sorted(report.traits)
        and _same(host.hypervisor, report.hypervisor)
    ):
        return []
    return [
        InventoryChanged(
            at=at,
            host=report.host,
            hypervisor=report.hypervisor,
            inventories=report.inventories,
            traits=sorted(report.traits),
        )
    ]


def _same(known: Hypervisor, seen: Hypervisor) -> bool:
    if known == seen:
        return True
    if known.booted_at is None or seen.booted_at is None:
        return False
    if abs(known.booted_at - seen.booted_at) > BOOT_JITTER:
        return False
    return msgspec.structs.replace(seen, booted_at=known.booted_at) == known
