"""A stolen host is believed in no other name, in seeds."""

from __future__ import annotations

import pytest

from tests.simulation.faults import NAMES
from tests.simulation.runner import run_seed

WORKLOADS = ("boots", "deletes", "power", "everything")


def test_seeds_hold_all_invariants() -> None:
    for seed, workload in enumerate(WORKLOADS):
        outcome = run_seed(seed, workload, ("forged",))
        assert not outcome.violation, f"{outcome.command}\n{outcome.violation}\n{outcome.story}"
        assert outcome.facts["outcome.CommandFailed"] > 0, "it tried"


@pytest.mark.long
@pytest.mark.parametrize("other", NAMES)
def test_seeds_with_any_other_fault(other: str) -> None:
    for seed in range(4000, 4003):
        outcome = run_seed(seed, "everything", ("forged", other))
        assert not outcome.violation, f"{outcome.command}\n{outcome.violation}\n{outcome.story}"
