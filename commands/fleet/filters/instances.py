"""Filters by how many servers a host has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.fleet.judges import Question, as_filter
from commands.numbers import whole_number
from events.fleet.host import Host

if TYPE_CHECKING:
    from commands.fleet.candidates import Candidates

LIMIT_KEY = "max_instances_per_host"


@as_filter("NumInstancesFilter")
def num_instances(candidates: Candidates, question: Question) -> Candidates:
    """Hosts with fewer servers than ``max_instances_per_host``."""
    return candidates.below("servers", question.policy.max_instances_per_host)


@as_filter("AggregateNumInstancesFilter")
def aggregate_num_instances(candidates: Candidates, question: Question) -> Candidates:
    """The same with the lowest limit that one of the host's aggregates sets."""
    return candidates.below("servers", lambda host: _limit(host, question))


def _limit(host: Host, question: Question) -> int:
    values = question.metadata_values(host, LIMIT_KEY)
    limits = [limit for value in values if (limit := whole_number(value, None)) is not None]
    return min(limits, default=question.policy.max_instances_per_host)
