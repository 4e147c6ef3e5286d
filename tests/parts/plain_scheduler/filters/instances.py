"""Filters by how many servers a host has."""

from __future__ import annotations

from commands.numbers import whole_number
from events.fleet.host import Host
from tests.parts.plain_scheduler.judges import Question, as_filter

LIMIT_KEY = "max_instances_per_host"


@as_filter("NumInstancesFilter")
def num_instances(hosts: list[Host], question: Question) -> list[Host]:
    """Hosts with fewer servers than ``max_instances_per_host``."""
    limit = question.policy.max_instances_per_host
    return [h for h in hosts if h.servers < limit]


@as_filter("AggregateNumInstancesFilter")
def aggregate_num_instances(hosts: list[Host], question: Question) -> list[Host]:
    """The same with the lowest limit that one of the host's aggregates sets."""
    return [h for h in hosts if h.servers < _limit(h, question)]


def _limit(host: Host, question: Question) -> int:
    limits = [
        limit
        for value in question.metadata_values(host.host, LIMIT_KEY)
        if (limit := whole_number(value, None)) is not None
    ]
    return min(limits, default=question.policy.max_instances_per_host)
