"""The SQL of the writer against logs of simulated sites.

The simulation folds with the projector's own code and keeps rows in memory, for it has one thread,
no sockets and no clock, and a database has all of them. What it cannot see is the SQL; so the real
follower writes the journals of simulated sites, with their void and repeated records, into a real
database here, and its rows are compared with those that the simulation had.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from events.log.memory import Cluster, MemoryLog
from projections.connection import Connection
from projections.model import read_model
from projections.table import Projected
from tests.projections.tables import follower, new_build, rows
from tests.simulation.workloads import WORKLOADS
from tests.simulation.world import World

STEPS = 5
"""Batches that a follower writes before another one goes on in its place."""

RECORDS = 20
"""Of one batch: rows are written often, from states that come from rows."""

SEEDS = (
    (1, "everything", ("crash", "duplicate", "restart", "zombie")),
    (2, "images", ("crash",)),
    (3, "identity", ("restart", "unavailable")),
)


def copied(world: World) -> MemoryLog:
    """What the site's log holds in the end, without its faults."""
    cluster = Cluster(lambda: world.kernel.now)
    for topic in world.cluster.topics.values():
        cluster.create(topic)
    cluster.partitions.update(world.cluster.partitions)
    return MemoryLog(cluster=cluster, process="projector")


def found(control: Connection, projected: Projected) -> list[dict[str, Any]]:
    """Every row of a table, by column."""
    names = [column.name for column in projected.table.columns]
    query = f"SELECT {', '.join(names)} FROM projection_1.{projected.table.name}"
    return [dict(zip(names, row, strict=True)) for row in rows(control, query)]


@pytest.mark.long
@pytest.mark.parametrize(("seed", "workload", "faults"), SEEDS)
def test_the_rows_are_those_of_the_simulation(
    url: str,
    control: Connection,
    seed: int,
    workload: str,
    faults: tuple[str, ...],
) -> None:
    with World(seed, WORKLOADS[workload], faults) as world:
        world.run()
    simulated = copied(world)
    build = new_build(control, simulated)
    more = True
    while more:
        with closing(follower(simulated, url, build)) as one:
            one.records_max = RECORDS
            for _ in range(STEPS):
                one.step(0.0)
            more = one.behind()
    written = {
        (name, str(row["id"]))
        for name, projected in read_model().projected.items()
        for row in found(control, projected)
    }
    assert written == set(world.tables.rows)
    for name, projected in read_model().projected.items():
        for row in found(control, projected):
            expected, state, sequence = world.tables.rows[name, str(row["id"])]
            assert (bytes(row.pop("state")), row.pop("sequence")) == (state, sequence)
            assert {n: v for n, v in row.items() if n in expected} == expected
