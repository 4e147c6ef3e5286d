"""Filters by the state of the host's service."""

from __future__ import annotations

from events.fleet.host import Host
from tests.parts.plain_scheduler.judges import Question, as_filter


@as_filter("ComputeFilter", once=True)
def compute(hosts: list[Host], question: Question) -> list[Host]:
    """Hosts whose service is enabled, up and not declared dead."""
    return [h for h in hosts if h.up and not h.disabled and not h.forced_down]


@as_filter("AllHostsFilter", once=True)
def all_hosts(hosts: list[Host], question: Question) -> list[Host]:
    """Every host."""
    return hosts
