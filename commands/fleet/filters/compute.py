"""Filters by the state of the host's service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.fleet.judges import Question, as_filter

if TYPE_CHECKING:
    from commands.fleet.candidates import Candidates


@as_filter("ComputeFilter", once=True)
def compute(candidates: Candidates, question: Question) -> Candidates:
    """Hosts whose service is enabled, up and not declared dead."""
    return candidates.ready()


@as_filter("AllHostsFilter", once=True)
def all_hosts(candidates: Candidates, question: Question) -> Candidates:
    """Every host."""
    return candidates
