"""Filters by the server's group: its hard policies affinity and anti-affinity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.fleet.judges import Question, as_filter

if TYPE_CHECKING:
    from commands.fleet.candidates import Candidates


@as_filter("ServerGroupAntiAffinityFilter")
def anti_affinity(candidates: Candidates, question: Question) -> Candidates:
    """Hosts with fewer of the group's members than its rule allows."""
    group = question.spec.group
    if group is None or group.policy != "anti-affinity":
        return candidates
    counts = question.hosts_of(group.members)
    full = [host for host, count in counts.items() if count >= group.max_server_per_host]
    return candidates.without(full) if group.max_server_per_host > 0 else candidates.none()


@as_filter("ServerGroupAffinityFilter")
def affinity(candidates: Candidates, question: Question) -> Candidates:
    """Hosts that hold a member; all of them while there is none."""
    group = question.spec.group
    if group is None or group.policy != "affinity":
        return candidates
    counts = question.hosts_of(group.members)
    return candidates.only(counts) if counts else candidates
