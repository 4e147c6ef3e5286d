"""Weighers by the server's group: its soft policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.fleet.judges import Question, as_weigher

if TYPE_CHECKING:
    from commands.fleet.candidates import Candidates
    from commands.fleet.table import Numbers


@as_weigher("ServerGroupSoftAffinityWeigher", "soft_affinity_weight_multiplier")
def soft_affinity(candidates: Candidates, question: Question) -> Numbers | None:
    """Members of the group on the host."""
    return _members(candidates, question, "soft-affinity", 1.0)


@as_weigher("ServerGroupSoftAntiAffinityWeigher", "soft_anti_affinity_weight_multiplier")
def soft_anti_affinity(candidates: Candidates, question: Question) -> Numbers | None:
    """Members of the group on the host, negative."""
    return _members(candidates, question, "soft-anti-affinity", -1.0)


def _members(
    candidates: Candidates, question: Question, policy: str, sign: float
) -> Numbers | None:
    group = question.spec.group
    if group is None or group.policy != policy:
        return None
    return sign * candidates.counted(question.hosts_of(group.members))
