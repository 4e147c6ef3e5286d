"""A fold that makes other states of the same records has another version: snapshots are dropped."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import tests.schemas.golden_fold as golden_fold
from events.aggregate import AGGREGATES
from events.compute.flavor import Flavor
from tests.schemas.golden_fold import RAISE, Fold, kept, now, write

ONE = Fold(1, "records", "shapes", "states")


def test_a_changed_fold_has_another_version() -> None:
    fold = now()
    assert fold.follows(kept()), RAISE
    assert fold == kept(), "run make schemas"


def test_another_fold_of_the_same_records_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = AGGREGATES["server"]

    def evolve(state: object, event: object) -> object:
        after = right.evolve(state, event)
        return after and msgspec.structs.replace(after, name="another")

    monkeypatch.setitem(AGGREGATES, "server", msgspec.structs.replace(right, evolve=evolve))
    assert not now().follows(kept())
    monkeypatch.setattr(golden_fold, "FOLD_VERSION", kept().version + 1)
    assert now().follows(kept())


def test_another_shape_needs_no_other_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """It drops the snapshots by itself."""
    changed = msgspec.structs.replace(AGGREGATES["server"], state=Flavor)
    monkeypatch.setitem(AGGREGATES, "server", changed)
    assert now().shapes != kept().shapes


def test_it_is_not_written_before_the_version_is_raised(tmp_path: Path) -> None:
    file = tmp_path / "fold.json"
    assert write(ONE, file)
    other = msgspec.structs.replace(ONE, states="others")
    assert not write(other, file)
    assert msgspec.json.decode(file.read_bytes(), type=Fold) == ONE
    for fold in (
        msgspec.structs.replace(other, version=2),
        msgspec.structs.replace(other, shapes="others"),
        msgspec.structs.replace(other, records="others"),
    ):
        file.unlink()
        assert write(ONE, file) and write(fold, file)
