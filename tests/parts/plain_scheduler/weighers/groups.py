"""Weighers by the server's group: its soft policies."""

from __future__ import annotations

from events.fleet.host import Host
from tests.parts.plain_scheduler.judges import Question, as_weigher


@as_weigher("ServerGroupSoftAffinityWeigher", "soft_affinity_weight_multiplier")
def soft_affinity(hosts: list[Host], question: Question) -> list[float] | None:
    """Members of the group on the host."""
    return _members(hosts, question, "soft-affinity", 1.0)


@as_weigher("ServerGroupSoftAntiAffinityWeigher", "soft_anti_affinity_weight_multiplier")
def soft_anti_affinity(hosts: list[Host], question: Question) -> list[float] | None:
    """Members of the group on the host, negative."""
    return _members(hosts, question, "soft-anti-affinity", -1.0)


def _members(hosts: list[Host], question: Question, policy: str, sign: float) -> list[float] | None:
    group = question.spec.group
    if group is None or group.policy != policy:
        return None
    counts = question.hosts_of(group.members)
    return [sign * counts.get(h.host, 0) for h in hosts]
