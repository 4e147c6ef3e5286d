"""Postgres brought back from an older copy while the log lies in Kafka."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.chaos.check import at_rest, check
from tests.chaos.load import Load
from tests.chaos.victim import Victim, wait_until

BOOTS_MIN = 8


def test_an_older_copy_of_the_tables_catches_up_by_itself(victim: Victim, tmp_path: Path) -> None:
    if not victim.on_kafka:
        pytest.skip("the log lies in the same Postgres: it would be the older log too")
    copy = tmp_path / "copy"
    with victim.postgres_stopped():
        _copy(victim.database.cluster, copy)
    with Load(victim.site, rate=6.0, seed=3) as load:
        wait_until(lambda: load.acknowledged() >= BOOTS_MIN, 60, "some load")
    _, restless = at_rest(victim.site, load.ledger, 60)
    assert restless == []
    with victim.postgres_stopped():
        shutil.rmtree(victim.database.cluster)
        _copy(copy, victim.database.cluster)
    assert check(victim.site, load.ledger) == []


def _copy(source: Path, target: Path) -> None:
    """With owners and modes, which Postgres insists on."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True, timeout=60)
