"""Two versions side by side, there and back: what docs/operations.md promises of upgrades."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.upgrade import drill
from tests.chaos.versions import tomorrow
from tests.chaos.victim import Victim

SECONDS = 10.0


def test_roles_of_two_versions_in_any_order(victim: Victim, tmp_path: Path) -> None:
    newer = tomorrow(tmp_path / "tomorrow")
    assert drill(victim, newer, SECONDS, seed=1) == []
