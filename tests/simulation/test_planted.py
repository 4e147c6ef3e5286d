"""The harness is tested, too: each planted bug is found, and its story can be replayed."""

from __future__ import annotations

import pytest

from tests.simulation.planted import PLANTED, Planted
from tests.simulation.runner import Outcome, run_seed

SEEDS_MAX = 600

QUICK = (
    "dedup_off",
    "missed_release",
    "overcommitted_host",
    "quota_not_returned",
    "unfinished_work_forgotten",
    "projector_forgets_rows",
)
"""Found within a few seeds: for every day. The others take CI a minute."""


def found(bug: Planted) -> Outcome | None:
    with bug.apply():
        for seed in range(1, SEEDS_MAX + 1):
            outcome = run_seed(seed, bug.workload, bug.faults)
            if outcome.violation:
                return outcome
    return None


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found(name: str) -> None:
    outcome = found(PLANTED[name])
    assert outcome is not None, f"{name} survived {SEEDS_MAX} seeds"


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(set(PLANTED) - set(QUICK)))
def test_a_planted_bug_is_found_in_the_end(name: str) -> None:
    outcome = found(PLANTED[name])
    assert outcome is not None, f"{name} survived {SEEDS_MAX} seeds"


def test_a_story_tells_what_happened_and_how_to_see_it_again() -> None:
    bug = PLANTED["missed_release"]
    outcome = found(bug)
    assert outcome is not None
    assert "The last steps:" in outcome.story
    assert "compute.ServerDeleted" in outcome.story
    assert outcome.command.startswith(f"python -m tests.simulation --seed {outcome.seed} ")
    with bug.apply():
        again = run_seed(outcome.seed, outcome.workload, outcome.faults)
    assert (again.violation, again.story) == (outcome.violation, outcome.story)


def test_a_bug_is_gone_when_it_is_taken_away() -> None:
    bug = PLANTED["missed_release"]
    outcome = found(bug)
    assert outcome is not None
    assert run_seed(outcome.seed, outcome.workload, outcome.faults).violation == ""
