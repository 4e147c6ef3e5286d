"""Two versions of Chronova at once, in seeds: the feature level rises, and not too early."""

from __future__ import annotations

from collections import Counter

import pytest

from events.log.records import Codec
from handlers.features import Members
from tests.simulation.faults import NAMES
from tests.simulation.runner import run_seed

WORKLOAD = "reboots"
WITH = (None, "crash", "zombie", "unavailable", "clock", "twin")
SEEDS_MAX = 10
"""Within so many a planted fault is found."""


def test_seeds_hold_all_invariants() -> None:
    facts: Counter[str] = Counter()
    for seed, other in enumerate(WITH):
        outcome = run_seed(seed, WORKLOAD, ("builds", *([other] if other else [])))
        assert not outcome.violation, f"{outcome.command}\n{outcome.violation}\n{outcome.story}"
        facts += outcome.facts
    assert facts["compute.ServerRebooted"], "the level rose, and what needs it was written"


@pytest.mark.long
@pytest.mark.parametrize("other", NAMES)
def test_seeds_with_any_other_fault(other: str) -> None:
    for seed in range(3000, 3003):
        outcome = run_seed(seed, WORKLOAD, ("builds", other))
        assert not outcome.violation, f"{outcome.command}\n{outcome.violation}\n{outcome.story}"


def found() -> set[str]:
    """The kinds of violation that seeds find."""
    kinds = set()
    for seed in range(SEEDS_MAX):
        kinds.add(run_seed(seed, WORKLOAD, ("builds",)).kind)
        if kinds - {""}:
            break
    return kinds - {""}


def test_a_level_that_rises_while_an_old_process_lives_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Members, "holding_back", lambda self, level, hosts: [])
    monkeypatch.setattr(Members, "agreed", lambda self, known, hosts: known)
    assert found() == {"too early"}


def test_a_type_that_is_written_without_its_level_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Codec, "encode", Codec.written)
    assert found() == {"too early"}


def test_a_level_that_never_rises_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Members, "agreed", lambda self, known, hosts: 1)
    assert found() == {"too late"}
