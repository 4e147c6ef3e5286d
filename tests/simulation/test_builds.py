"""Two versions of Chronova at once, in seeds: the feature level rises, and not too early."""

from __future__ import annotations

from collections import Counter

from tests.simulation.runner import run_seed

WORKLOAD = "reboots"
WITH = (None, "crash", "zombie", "unavailable", "clock", "twin")


def test_seeds_hold_all_invariants() -> None:
    facts: Counter[str] = Counter()
    for seed, other in enumerate(WITH):
        outcome = run_seed(seed, WORKLOAD, ("builds", *([other] if other else [])))
        assert not outcome.violation, f"{outcome.command}\n{outcome.violation}\n{outcome.story}"
        facts += outcome.facts
    assert facts["compute.ServerRebooted"], "the level rose, and what needs it was written"
