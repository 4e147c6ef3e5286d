"""The judgements before any filter: what placement and Nova's pre-filters do.

They hold for forced hosts as well: nobody can force a server onto a host without room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.fleet.demand import Demand
from commands.fleet.judges import Question
from events.fleet.evidence import FilterCount
from events.fleet.host import Host
from events.fleet.request import DEFAULT_ZONE, Resources

if TYPE_CHECKING:
    from commands.fleet.candidates import Candidates


def with_room(candidates: Candidates, resources: Resources) -> Candidates:
    """Hosts that can give this much to one server."""
    # A class that is not asked for is not looked at: a host may be overcommitted in it.
    for column, amount in (
        ("largest_vcpus", resources.vcpus),
        ("largest_ram_mib", resources.ram_mib),
        ("largest_disk_gib", resources.disk_gib),
    ):
        if amount:
            candidates = candidates.at_least(column, amount)
    for name, amount in resources.others.items():
        candidates = _with_other(candidates, name, amount)
    return candidates


def _with_other(candidates: Candidates, resource_class: str, amount: int) -> Candidates:
    def has(host: Host) -> bool:
        inventory = host.inventories[resource_class]
        left = inventory.capacity - host.used(resource_class)
        return amount <= min(left, inventory.unit_max)

    return candidates.of_kind(lambda host: resource_class in host.inventories).each(has)


def in_zone(candidates: Candidates, zone: str, question: Question) -> Candidates:
    """Hosts in an availability zone; the default zone has all that no aggregate gives one."""

    def belongs(host: Host) -> bool:
        found = [aggregate.availability_zone for aggregate in question.aggregates_of(host)]
        zones = [own for own in found if own]
        return zone in zones or (zone == DEFAULT_ZONE and not zones)

    return candidates.by_aggregates(belongs)


class Sieve:
    """The hosts that are left, and the count after each judgement."""

    def __init__(self, candidates: Candidates) -> None:
        self.candidates = candidates
        self.counts: list[FilterCount] = []

    def keep(self, name: str, candidates: Candidates) -> bool:
        """Go on with these; whether any are left."""
        self.candidates = candidates
        self.counts.append(FilterCount(filter=name, remaining=len(candidates)))
        return bool(candidates)


def sift(sieve: Sieve, question: Question, demand: Demand, excluded: list[str]) -> bool:
    """Keep the hosts that the request may go to at all; whether any are left.

    A forced host is taken in whatever zone it is.
    """
    spec = question.spec
    if not sieve.keep("Capacity", with_room(sieve.candidates, demand.resources)):
        return False
    if demand.required_traits or demand.forbidden_traits:

        def suits(host: Host) -> bool:
            return demand.required_traits.issubset(
                host.traits
            ) and demand.forbidden_traits.isdisjoint(host.traits)

        if not sieve.keep("Traits", sieve.candidates.of_kind(suits)):
            return False
    forced = spec.forced and spec.requested_host
    zone = None if forced else spec.availability_zone
    if zone and not sieve.keep("AvailabilityZone", in_zone(sieve.candidates, zone, question)):
        return False
    if not sieve.keep("ComputeStatus", sieve.candidates.enabled()):
        return False
    if spec.requested_host:
        kept = sieve.candidates.only((spec.requested_host,))
        if not sieve.keep("RequestedHost", kept):
            return False
    if excluded:
        return sieve.keep("ExcludedHosts", sieve.candidates.without(excluded))
    return True
