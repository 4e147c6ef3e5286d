"""Every release's log folds to the states that it folded to then."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronova import __version__
from tests.schemas.golden_log import FOLDER, fold, missing, path_of, read

LOGS = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_a_releases_log_folds_to_the_same_states(path: Path) -> None:
    """Only before its release may a log be recorded again: python -m tests.schemas.golden_log."""
    golden = read(path)
    now = fold(golden.records)
    assert {kind: states.keys() for kind, states in now.items() if states} == {
        kind: states.keys() for kind, states in golden.states.items() if states
    }
    assert missing(golden.states, now) == []


def test_this_version_has_one() -> None:
    golden = read(path_of(__version__))
    types = {record.headers["ce_type"] for record in golden.records}
    assert {"chronova.compute.ServerCreated", "chronova.journal.TermBegan"} < types
    assert golden.states["server"] and golden.states["host"] and golden.states["allocation"]


def test_a_field_more_is_fine_and_another_value_is_not() -> None:
    assert missing({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}], "d": 3}) == []
    assert missing({"a": [{"b": 1}]}, {"a": [{"b": 2}]}) == ["/a/0/b was 1 and is 2"]
    assert missing({"a": 1}, {}) == ["/a is gone"]
