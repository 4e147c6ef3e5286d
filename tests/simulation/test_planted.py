"""The harness is tested, too: each planted bug is found by its symptom, and can be seen again."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.planted import PLANTED, Planted
from tests.simulation.planting import planted, replaced, swapped
from tests.simulation.runner import Outcome, run_seed

QUICK = (
    "missed_release",
    "overcommitted_host",
    "quota_not_returned",
    "remembered_ids_off",
    "marks_not_carried",
    "mark_not_written",
)
"""Found by the first seeds: for every day."""


def found(bug: Planted) -> Outcome | None:
    """The first seed with a violation."""
    with bug.apply():
        for seed in bug.seeds:
            outcome = run_seed(seed, bug.workload, bug.faults)
            if outcome.violation:
                return outcome
    return None


def check(name: str) -> None:
    bug = PLANTED[name]
    outcome = found(bug)
    assert outcome is not None, f"{name} survived {bug.within} seeds"
    assert outcome.kind in bug.kinds, f"{name} was found as another: {outcome.violation}"


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found_by_its_symptom(name: str) -> None:
    check(name)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(set(PLANTED) - set(QUICK)))
def test_a_planted_bug_is_found_by_its_symptom_in_the_end(name: str) -> None:
    check(name)


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
    assert run_seed(outcome.seed, outcome.workload, outcome.faults).violation == ""


class Example:
    """What bugs are planted in, here."""

    limit = 3

    def right(self, one: int, two: int = 2) -> int:
        return one + two


def test_a_replacement_has_the_signature_of_what_it_replaces() -> None:
    def without_two(self: Example, one: int) -> int:
        return one

    def with_another_default(self: Example, one: int, two: int = 3) -> int:
        return one

    for wrong in (without_two, with_another_default, 5):
        with pytest.raises(TypeError, match="cannot replace"), swapped(Example, "right", wrong):
            pass
    with pytest.raises(TypeError, match="cannot replace"), replaced({"limit": 3}, "limit", "3"):
        pass


def test_what_was_replaced_comes_back() -> None:
    def wrong(self: Example, one: int, two: int = 2) -> int:
        return 0

    with swapped(Example, "right", wrong):
        assert Example().right(1) == 0
    assert Example().right(1) == 3


def rules() -> set[str]:
    """The kinds of violation that are complained of anywhere."""
    found: set[str] = set()
    for file in Path(__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in ("complain", "_complain", "Violation"):
                    found.add(str(node.args[0].value))
    return found


def test_each_rule_has_a_bug_that_breaks_it() -> None:
    """A rule that no bug breaks may be one that nothing can break."""
    proved = set().union(*(bug.kinds for bug in PLANTED.values()))
    assert {"disk", "wish", "busy"} <= rules()
    assert rules() == proved


def test_a_bug_names_its_symptoms() -> None:
    assert [name for name, bug in PLANTED.items() if not 1 <= len(bug.kinds) <= 3] == []

    def nothing() -> Iterator[None]:
        yield

    planted("guest")(nothing)
    assert PLANTED.pop("nothing").kinds == {"guest"}
