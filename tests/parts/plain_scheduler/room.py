"""The judgements before any filter: what placement and Nova's pre-filters do.

They hold for forced hosts as well: nobody can force a server onto a host without room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from events.fleet.evidence import FilterCount
from events.fleet.host import Host
from events.fleet.host_aggregate import HostAggregate
from events.fleet.request import DEFAULT_ZONE, RequestSpec, Resources
from tests.parts.plain_scheduler.demand import Demand


def with_room(hosts: Iterable[Host], resources: Resources) -> list[Host]:
    """Hosts that can give this much to one server."""
    vcpus, ram, disk = resources.vcpus, resources.ram_mib, resources.disk_gib
    # A class that is not asked for is not looked at: a host may be overcommitted in it.
    fits = [
        h
        for h in hosts
        if (h.largest_vcpus >= vcpus or not vcpus)
        and (h.largest_ram_mib >= ram or not ram)
        and (h.largest_disk_gib >= disk or not disk)
    ]
    if resources.others:
        return [h for h in fits if all(_has(h, *other) for other in resources.others.items())]
    return fits


def _has(host: Host, resource_class: str, amount: int) -> bool:
    inventory = host.inventories.get(resource_class)
    if inventory is None:
        return False
    left = inventory.capacity - host.used(resource_class)
    return amount <= min(left, inventory.unit_max)


def in_zone(
    hosts: Iterable[Host], zone: str, aggregates: Mapping[str, HostAggregate]
) -> list[Host]:
    """Hosts in an availability zone; the default zone has all that no aggregate gives one."""
    members: set[str] = set()
    zoned: set[str] = set()
    for aggregate in aggregates.values():
        if aggregate.availability_zone:
            zoned.update(aggregate.hosts)
            if aggregate.availability_zone == zone:
                members.update(aggregate.hosts)
    if zone == DEFAULT_ZONE:
        return [h for h in hosts if h.host in members or h.host not in zoned]
    return [h for h in hosts if h.host in members]


class Sieve:
    """The hosts that are left, and the count after each judgement."""

    def __init__(self, hosts: list[Host]) -> None:
        self.hosts = hosts
        self.counts: list[FilterCount] = []

    def keep(self, name: str, hosts: list[Host]) -> bool:
        """Go on with these; whether any are left."""
        self.hosts = hosts
        self.counts.append(FilterCount(filter=name, remaining=len(hosts)))
        return bool(hosts)


def sift(
    sieve: Sieve,
    spec: RequestSpec,
    demand: Demand,
    aggregates: Mapping[str, HostAggregate],
    excluded: frozenset[str],
) -> bool:
    """Keep the hosts that the request may go to at all; whether any are left."""
    if not sieve.keep("Capacity", with_room(sieve.hosts, demand.resources)):
        return False
    if demand.required_traits or demand.forbidden_traits:
        kept = [
            h
            for h in sieve.hosts
            if demand.required_traits.issubset(h.traits)
            and demand.forbidden_traits.isdisjoint(h.traits)
        ]
        if not sieve.keep("Traits", kept):
            return False
    forced = spec.forced and spec.requested_host
    zone = None if forced else spec.availability_zone
    if zone and not sieve.keep("AvailabilityZone", in_zone(sieve.hosts, zone, aggregates)):
        return False
    if not sieve.keep("ComputeStatus", [h for h in sieve.hosts if not h.disabled]):
        return False
    if spec.requested_host:
        kept = [h for h in sieve.hosts if h.host == spec.requested_host]
        if not sieve.keep("RequestedHost", kept):
            return False
    if excluded:
        kept = [h for h in sieve.hosts if h.host not in excluded]
        return sieve.keep("ExcludedHosts", kept)
    return True
