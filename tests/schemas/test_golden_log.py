"""Every release's log folds to the states that it folded to then."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronova import __version__
from tests.schemas.golden_log import (
    FOLDER,
    content_of,
    fold,
    missing,
    path_of,
    read,
    write_missing,
)

LOGS = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_a_releases_log_folds_to_the_same_states(path: Path) -> None:
    """Only before its release may a log be deleted and recorded again: make schemas."""
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


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_each_record_and_each_state_has_a_line(path: Path) -> None:
    golden = read(path)
    assert path.read_bytes() == content_of(golden)
    lines = path.read_text().splitlines()
    states = sum(len(found) for found in golden.states.values())
    assert sum(line.startswith('  {"topic"') for line in lines) == len(golden.records)
    assert sum(line.startswith('   "') for line in lines) == states


def test_a_log_that_is_there_is_not_recorded_again(tmp_path: Path) -> None:
    (tmp_path / "9.json").write_text("{}")
    assert write_missing("9", tmp_path) is None
    assert write_missing("10", tmp_path / "more") == len(read(path_of(__version__)).records)
    assert read(tmp_path / "more/10.json").states


def test_a_field_more_is_fine_and_another_value_is_not() -> None:
    assert missing({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}], "d": 3}) == []
    assert missing({"a": [{"b": 1}]}, {"a": [{"b": 2}]}) == ["/a/0/b was 1 and is 2"]
    assert missing({"a": 1}, {}) == ["/a is gone"]
