"""The weigher by the hypervisor's version: newer ones first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.fleet.judges import Question, as_weigher

if TYPE_CHECKING:
    from commands.fleet.candidates import Candidates
    from commands.fleet.table import Numbers


@as_weigher("HypervisorVersionWeigher", "hypervisor_version_weight_multiplier")
def hypervisor_version(candidates: Candidates, question: Question) -> Numbers:
    """The version as a number."""
    return candidates.column("hypervisor_version")
