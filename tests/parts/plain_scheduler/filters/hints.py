"""Filters by the request's scheduler hints."""

from __future__ import annotations

import ipaddress

from events.fleet.host import Host
from tests.parts.plain_scheduler.judges import Question, as_filter


@as_filter("SameHostFilter", once=True)
def same_host(hosts: list[Host], question: Question) -> list[Host]:
    """Hosts that hold one of the servers named by the hint ``same_host``."""
    named = question.spec.scheduler_hints.get("same_host")
    if not named:
        return hosts
    held = question.hosts_of(named)
    return [h for h in hosts if h.host in held]


@as_filter("DifferentHostFilter", once=True)
def different_host(hosts: list[Host], question: Question) -> list[Host]:
    """Hosts that hold none of the servers named by the hint ``different_host``."""
    named = question.spec.scheduler_hints.get("different_host")
    if not named:
        return hosts
    held = question.hosts_of(named)
    return [h for h in hosts if h.host not in held]


@as_filter("SimpleCIDRAffinityFilter", once=True)
def simple_cidr_affinity(hosts: list[Host], question: Question) -> list[Host]:
    """Hosts in the network of the hints ``build_near_host_ip`` and ``cidr`` (default /24).

    Hints that are no network match no host.
    """
    near = question.spec.scheduler_hints.get("build_near_host_ip")
    if not near:
        return hosts
    cidr = (question.spec.scheduler_hints.get("cidr") or ["/24"])[0]
    try:
        network = ipaddress.ip_network(f"{near[0]}/{cidr.removeprefix('/')}", strict=False)
    except ValueError:
        return []
    return [h for h in hosts if _within(h.hypervisor.host_ip, network)]


def _within(address: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return ipaddress.ip_address(address) in network
    except ValueError:
        return False
