"""What simulated seeds found, each as a small story of its own: none may come back."""

from __future__ import annotations

from pathlib import Path

import pytest

from events.log.contract import LogUnavailable
from events.log.memory import Fault, Operation
from handlers.decider import Decider
from tests.handlers.decider.site import Site, flavors, settle


def test_a_decider_that_lost_its_partition_saves_no_events_of_others(tmp_path: Path) -> None:
    """It kept the end of the events, where others had written, with its own older state; when it
    owned the partition again, it could not fold on."""
    site = Site()
    log = site.log("first")
    first = site.decider("first", tmp_path, log=log)
    site.ask_flavor("one")
    settle(first)
    log.expel()
    second = site.decider("second", tmp_path / "another machine")
    site.ask_flavor("another")
    settle(second)
    first.close()
    second.close()
    again = site.decider("again", tmp_path)
    settle(again)
    assert flavors(again) == {"one", "another"}


def test_a_decider_whose_commit_and_next_term_fail_still_decides_what_it_read() -> None:
    """It had forgotten its partitions and kept its place: commands were read and dropped."""
    site = Site()
    decider = site.decider()
    settle(decider)
    site.ask_flavor("one")
    away = [Operation("commit", "decider"), Operation("begin_term", "decider")]

    def unavailable(operation: Operation) -> Fault | None:
        if operation in away:
            away.remove(operation)
            return Fault.UNAVAILABLE
        return None

    site.faults = unavailable
    with pytest.raises(LogUnavailable):
        decider.step(0.0)
    settle(decider, turns=2)
    assert not away
    _until_decided(site, decider)
    assert flavors(decider) == {"one"}


def _until_decided(site: Site, decider: Decider) -> None:
    for _ in range(5):
        site.now += 1_000_000
        settle(decider, turns=3)
