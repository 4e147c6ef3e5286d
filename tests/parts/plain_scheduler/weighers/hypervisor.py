"""The weigher by the hypervisor's version: newer ones first."""

from __future__ import annotations

from events.fleet.host import Host
from tests.parts.plain_scheduler.judges import Question, as_weigher


@as_weigher("HypervisorVersionWeigher", "hypervisor_version_weight_multiplier")
def hypervisor_version(hosts: list[Host], question: Question) -> list[float]:
    """The version as a number."""
    return [h.hypervisor.version for h in hosts]
