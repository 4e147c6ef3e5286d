"""Filters by the request's scheduler hints."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

from commands.fleet.judges import Question, as_filter
from events.fleet.host import Host

if TYPE_CHECKING:
    from commands.fleet.candidates import Candidates


@as_filter("SameHostFilter", once=True)
def same_host(candidates: Candidates, question: Question) -> Candidates:
    """Hosts that hold one of the servers named by the hint ``same_host``."""
    named = question.spec.scheduler_hints.get("same_host")
    if not named:
        return candidates
    held = question.hosts_of(named)
    return candidates.only(held)


@as_filter("DifferentHostFilter", once=True)
def different_host(candidates: Candidates, question: Question) -> Candidates:
    """Hosts that hold none of the servers named by the hint ``different_host``."""
    named = question.spec.scheduler_hints.get("different_host")
    if not named:
        return candidates
    held = question.hosts_of(named)
    return candidates.without(held)


@as_filter("SimpleCIDRAffinityFilter", once=True)
def simple_cidr_affinity(candidates: Candidates, question: Question) -> Candidates:
    """Hosts in the network of the hints ``build_near_host_ip`` and ``cidr`` (default /24).

    Hints that are no network match no host.
    """
    near = question.spec.scheduler_hints.get("build_near_host_ip")
    if not near:
        return candidates
    cidr = (question.spec.scheduler_hints.get("cidr") or ["/24"])[0]
    try:
        network = ipaddress.ip_network(f"{near[0]}/{cidr.removeprefix('/')}", strict=False)
    except ValueError:
        return candidates.none()

    def within(host: Host) -> bool:
        address = _address(host.hypervisor.host_ip)
        return address is not None and address in network

    return candidates.each(within)


@lru_cache(maxsize=65_536)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host gave, None when it is none. Remembered: hosts seldom move."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
