"""A stolen host is believed in no other name, in seeds."""

from __future__ import annotations

from tests.simulation.runner import run_seed

WORKLOADS = ("boots", "deletes", "power", "everything")


def test_seeds_hold_all_invariants() -> None:
    for seed, workload in enumerate(WORKLOADS):
        outcome = run_seed(seed, workload, ("forged",))
        assert not outcome.violation, f"{outcome.command}\n{outcome.violation}\n{outcome.story}"
        assert outcome.facts["outcome.CommandFailed"] > 0, "it tried"
