"""A stolen host is believed in no other name, in seeds; and it is noticed where it would be."""

from __future__ import annotations

import pytest

from events.host_proof import Checks
from events.log.contract import Record
from events.message import Message
from tests.simulation.faults import NAMES
from tests.simulation.runner import run_seed

WORKLOADS = ("boots", "deletes", "power", "everything")
SEEDS_MAX = 10
"""Within so many a planted fault is found."""


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


def found() -> str:
    """The first kind of violation that seeds find."""
    for seed in range(SEEDS_MAX):
        if kind := run_seed(seed, "boots", ("forged",)).kind:
            return kind
    return ""


def test_a_proof_that_nobody_checks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(self: Checks, record: Record, message: Message, registered: str = "") -> None:
        pass

    monkeypatch.setattr(Checks, "check", check)
    assert found() == "forged"


def test_a_proof_that_is_checked_for_heartbeats_only_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = Checks.check

    def check(self: Checks, record: Record, message: Message, registered: str = "") -> None:
        if record.topic.endswith("heartbeats"):
            right(self, record, message, registered)

    monkeypatch.setattr(Checks, "check", check)
    assert found() == "forged"


def test_a_proof_that_is_checked_for_reports_only_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = Checks.check

    def check(self: Checks, record: Record, message: Message, registered: str = "") -> None:
        if not record.topic.endswith("heartbeats"):
            right(self, record, message, registered)

    monkeypatch.setattr(Checks, "check", check)
    assert found() == "forged"


def test_a_proof_of_whatever_host_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name in the proof is not compared with the one in the record."""
    monkeypatch.setattr(
        "events.host_proof._writer_of",
        lambda message: AnyName(),
    )
    assert found() == "forged"


class AnyName(str):
    """Equal to every name."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__
