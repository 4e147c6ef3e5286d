"""A compute host: its inventory, its service, and how much of it is given away.

The totals are kept incrementally by claims and releases; ``largest_*`` (the biggest request that
still fits) and ``free_*`` (what the weighers weigh) are settled whenever a total or the inventory
changes, so that a scheduling decision only compares and never computes. Which servers hold what
is the ``allocation`` aggregates' knowledge: a host's state stays as small with a thousand
servers as with none.

A deleted host is kept as a tombstone: an agent that registers again goes on with its history.
"""

from __future__ import annotations

from typing import Annotated, assert_never

import msgspec

from events.aggregate import Aggregate, begun_by, register
from events.fleet.allocation import AllocationClaimed, AllocationReleased
from events.fleet.host_aggregate import HostAddedToAggregate, HostRemovedFromAggregate
from events.fleet.inventory import DISK_GB, MEMORY_MB, VCPU, Hypervisor, Inventory
from events.fleet.request import SHARD, Resources, Shard
from events.message import Event, HostName, Text

MIB_PER_GIB = 1024

Inventories = Annotated[dict[str, Inventory], "What the host has, by resource class."]
Traits = Annotated[list[str], "Placement traits of the node, e.g. HW_CPU_X86_AVX2."]


class HostRegistered(Event, frozen=True, kw_only=True):
    """A host's agent reported for the first time (or again after its service was deleted)."""

    folds = (("host", "host"), ("shard", "shard"))
    shard: Shard = SHARD
    host: HostName
    number: Annotated[int, "Its number, for API versions whose ids are integers."]
    node_id: Annotated[str, "UUID of the compute node."]
    service_id: Annotated[str, "UUID of its nova-compute service."]
    public_key: Annotated[str, "Ed25519 key (hex) that it proves with who it is."] = ""
    hypervisor: Annotated[Hypervisor, "Facts about the node."]
    inventories: Inventories
    traits: Traits = []


class HostRegistrationRefused(Event, frozen=True, kw_only=True):
    """An agent named a host that belongs to another compute node. It is told to end."""

    host: HostName
    node_id: Annotated[str, "UUID of the agent's node."]
    known_node_id: Annotated[str, "UUID of the node that the host belongs to."]


class InventoryChanged(Event, frozen=True, kw_only=True):
    """A host has other resources, or other facts, than it had."""

    folds = (("host", "host"),)
    host: HostName
    hypervisor: Annotated[Hypervisor, "Facts about the node."]
    inventories: Inventories
    traits: Traits = []


class ServiceDisabled(Event, frozen=True, kw_only=True):
    """An operator took a host out of scheduling; its servers go on."""

    folds = (("host", "host"),)
    host: HostName
    reason: Annotated[Text | None, "Why, in the operator's words."] = None


class ServiceEnabled(Event, frozen=True, kw_only=True):
    """An operator put a host back into scheduling."""

    folds = (("host", "host"),)
    host: HostName


class ServiceForcedDown(Event, frozen=True, kw_only=True):
    """An operator declared a host dead, whatever its heartbeats say."""

    folds = (("host", "host"),)
    host: HostName


class ServiceForceDownLifted(Event, frozen=True, kw_only=True):
    """An operator lets a host's heartbeats count again."""

    folds = (("host", "host"),)
    host: HostName


class ServiceWentDown(Event, frozen=True, kw_only=True):
    """A host's service gave no sign of life for too long, or said that it ends."""

    folds = (("host", "host"),)
    host: HostName
    silent_s: Annotated[float, "For how long, in seconds."]
    ended: Annotated[bool, "It said that it ends; false: it just was not heard."] = False


class ServiceCameUp(Event, frozen=True, kw_only=True):
    """A host's service gives signs of life again."""

    folds = (("host", "host"),)
    host: HostName


class ServiceDeleted(Event, frozen=True, kw_only=True):
    """A host and its service are no longer part of the fleet."""

    folds = (("host", "host"),)
    host: HostName


HostEvent = (
    HostRegistered
    | InventoryChanged
    | ServiceDisabled
    | ServiceEnabled
    | ServiceForcedDown
    | ServiceForceDownLifted
    | ServiceWentDown
    | ServiceCameUp
    | ServiceDeleted
    | AllocationClaimed
    | AllocationReleased
    | HostAddedToAggregate
    | HostRemovedFromAggregate
)


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """State of a host. ``up``: by its heartbeats; ``servers``: how many hold its room;
    ``aggregates``: ids of those it is in, in their own order, so that hosts of the same
    aggregates have the same value."""

    host: str
    number: int
    node_id: str
    service_id: str
    public_key: str
    hypervisor: Hypervisor
    inventories: dict[str, Inventory]
    traits: list[str]
    registered_at: int
    changed_at: int
    disabled: bool = False
    disabled_reason: str | None = None
    forced_down: bool = False
    up: bool = True
    deleted: bool = False
    servers: int = 0
    used_vcpus: int = 0
    used_ram_mib: int = 0
    used_disk_gib: int = 0
    used_others: dict[str, int] = {}
    largest_vcpus: int = 0
    largest_ram_mib: int = 0
    largest_disk_gib: int = 0
    free_vcpus: float = 0.0
    free_ram_mib: int = 0
    free_disk_mib: int = 0
    aggregates: tuple[str, ...] = ()

    @property
    def alive(self) -> bool:
        """Up, and not declared dead by an operator."""
        return self.up and not self.forced_down

    def used(self, resource_class: str) -> int:
        """How much of a resource class is given away."""
        if resource_class == VCPU:
            return self.used_vcpus
        if resource_class == MEMORY_MB:
            return self.used_ram_mib
        if resource_class == DISK_GB:
            return self.used_disk_gib
        return self.used_others.get(resource_class, 0)


_NOTHING = Inventory(total=0)


def _settled(host: Host) -> Host:
    """The host with what follows from its inventories and totals."""
    vcpus = host.inventories.get(VCPU, _NOTHING)
    ram = host.inventories.get(MEMORY_MB, _NOTHING)
    disk = host.inventories.get(DISK_GB, _NOTHING)
    free_disk = disk.total - disk.reserved - host.used_disk_gib
    least = host.hypervisor.disk_available_least_gib
    if least is not None and least < free_disk:
        free_disk = least
    return msgspec.structs.replace(
        host,
        largest_vcpus=min(vcpus.capacity - host.used_vcpus, vcpus.unit_max),
        largest_ram_mib=min(ram.capacity - host.used_ram_mib, ram.unit_max),
        largest_disk_gib=min(disk.capacity - host.used_disk_gib, disk.unit_max),
        free_vcpus=vcpus.total * vcpus.allocation_ratio - host.used_vcpus,
        free_ram_mib=ram.total - ram.reserved - host.used_ram_mib,
        free_disk_mib=free_disk * MIB_PER_GIB,
    )


def _use(host: Host, resources: Resources, sign: int) -> Host:
    others = host.used_others
    if resources.others:
        others = dict(others)
        for name, amount in resources.others.items():
            others[name] = others.get(name, 0) + sign * amount
    return _settled(
        msgspec.structs.replace(
            host,
            servers=host.servers + sign,
            used_vcpus=host.used_vcpus + sign * resources.vcpus,
            used_ram_mib=host.used_ram_mib + sign * resources.ram_mib,
            used_disk_gib=host.used_disk_gib + sign * resources.disk_gib,
            used_others=others,
        )
    )


def _registered(event: HostRegistered) -> Host:
    return _settled(
        Host(
            host=event.host,
            number=event.number,
            node_id=event.node_id,
            service_id=event.service_id,
            public_key=event.public_key,
            hypervisor=event.hypervisor,
            inventories=event.inventories,
            traits=event.traits,
            registered_at=event.at,
            changed_at=event.at,
        )
    )


@begun_by(HostRegistered)
def evolve(host: Host, event: HostEvent) -> Host:  # noqa: C901 - a table of facts
    """The fold of a host's events. The first is always ``HostRegistered``."""
    replace = msgspec.structs.replace
    match event:
        case AllocationClaimed():
            return _use(host, event.resources, 1)
        case AllocationReleased():
            return _use(host, event.resources, -1)
        case HostRegistered():
            return _registered(event)
        case InventoryChanged():
            return _settled(
                replace(
                    host,
                    hypervisor=event.hypervisor,
                    inventories=event.inventories,
                    traits=event.traits,
                    changed_at=event.at,
                )
            )
        case ServiceDisabled():
            return replace(host, disabled=True, disabled_reason=event.reason, changed_at=event.at)
        case ServiceEnabled():
            return replace(host, disabled=False, disabled_reason=None, changed_at=event.at)
        case ServiceForcedDown():
            return replace(host, forced_down=True, changed_at=event.at)
        case ServiceForceDownLifted():
            return replace(host, forced_down=False, changed_at=event.at)
        case ServiceWentDown():
            return replace(host, up=False, changed_at=event.at)
        case ServiceCameUp():
            return replace(host, up=True, changed_at=event.at)
        case ServiceDeleted():
            return replace(host, deleted=True, changed_at=event.at)
        case HostAddedToAggregate():
            joined = tuple(sorted({*host.aggregates, event.aggregate_id}))
            return replace(host, aggregates=joined)
        case HostRemovedFromAggregate():
            left = tuple(id for id in host.aggregates if id != event.aggregate_id)
            return replace(host, aggregates=left)
        case _:
            assert_never(event)


register(Aggregate(name="host", domain="fleet", state=Host, evolve=evolve))
