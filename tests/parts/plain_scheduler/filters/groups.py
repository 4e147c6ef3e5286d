"""Filters by the server's group: its hard policies affinity and anti-affinity."""

from __future__ import annotations

from events.fleet.host import Host
from tests.parts.plain_scheduler.judges import Question, as_filter


@as_filter("ServerGroupAntiAffinityFilter")
def anti_affinity(hosts: list[Host], question: Question) -> list[Host]:
    """Hosts with fewer of the group's members than its rule allows."""
    group = question.spec.group
    if group is None or group.policy != "anti-affinity":
        return hosts
    counts = question.hosts_of(group.members)
    return [h for h in hosts if counts.get(h.host, 0) < group.max_server_per_host]


@as_filter("ServerGroupAffinityFilter")
def affinity(hosts: list[Host], question: Question) -> list[Host]:
    """Hosts that hold a member; all of them while there is none."""
    group = question.spec.group
    if group is None or group.policy != "affinity":
        return hosts
    counts = question.hosts_of(group.members)
    return [h for h in hosts if h.host in counts] if counts else hosts
