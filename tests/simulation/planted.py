"""Bugs on purpose: a harness that does not find them proves nothing.

They stand by where they are planted: the API, the decider and its log, decisions and reactions,
hosts. Some are the very bugs that seeds found.
"""

from __future__ import annotations

from tests.simulation import (
    planted_api,
    planted_decider,
    planted_domain,
    planted_hosts,
    planted_rules,
    planted_sites,
    planted_snapshots,
)
from tests.simulation.planting import PLANTED, Planted

__all__ = [
    "PLANTED",
    "Planted",
    "planted_api",
    "planted_decider",
    "planted_domain",
    "planted_hosts",
    "planted_rules",
    "planted_sites",
    "planted_snapshots",
]
