"""Postgres brought back from an older copy while the log lies in Kafka."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.chaos.check import at_rest, check
from tests.chaos.history.run import copy
from tests.chaos.load import Load
from tests.chaos.victim import Victim, wait_until

BOOTS_MIN = 8


def test_an_older_copy_of_the_tables_catches_up_by_itself(victim: Victim, tmp_path: Path) -> None:
    if not victim.on_kafka:
        pytest.skip("the log lies in the same Postgres: it would be the older log too")
    older = tmp_path / "copy"
    with victim.postgres_stopped():
        copy(victim.database.cluster, older)
    with Load(victim.site, rate=6.0, seed=3) as load:
        wait_until(lambda: load.acknowledged() >= BOOTS_MIN, 60, "some load")
    _, restless = at_rest(victim.site, load.ledger, 60)
    assert restless == []
    with victim.postgres_stopped():
        shutil.rmtree(victim.database.cluster)
        copy(older, victim.database.cluster)
    assert check(victim.site, load.ledger) == []
