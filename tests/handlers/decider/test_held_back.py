"""A partition of which much waits for a receiver that is away: bounded in memory, nothing lost."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest

from events import topics
from events.log.contract import LogUnavailable, Outgoing
from events.log.memory import MemoryLog
from handlers.decider import Decider, intake, loop, owned, receiver
from tests.commands.compute.servers import create
from tests.handlers.decider.site import CODEC, Site, settle

FLEET = topics.commands("fleet")
ASKED, HELD_BACK, QUEUED, BATCH = 200, 20, 10, 5


class FleetAway(MemoryLog):
    """A log that takes no commands of the fleet while ``away``."""

    away = True

    def append(self, records: Sequence[Outgoing], timeout_s: float = 10.0) -> Sequence[int]:
        if self.away and any(record.topic == FLEET for record in records):
            raise LogUnavailable("nobody leads it")
        return super().append(records, timeout_s)


COMMAND_BYTES = len(CODEC.encode(create(str(UUID(int=0)), project_id="project-0")))


@pytest.fixture(params=["number", "bytes"])
def bounds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such small ones that a test reaches them."""
    monkeypatch.setattr(receiver, "HELD_BACK_MAX", HELD_BACK)
    if request.param == "number":
        monkeypatch.setattr(intake, "QUEUED_MAX", QUEUED)
    else:
        monkeypatch.setattr(intake, "QUEUED_BYTES", QUEUED * COMMAND_BYTES)
    monkeypatch.setattr(loop, "BATCH_MAX", BATCH)
    monkeypatch.setattr(owned, "BATCH_MAX", BATCH)


@pytest.mark.usefixtures("bounds")
def test_it_decides_and_reads_no_more_than_can_be_kept() -> None:
    site = Site()
    log = FleetAway(cluster=site.cluster, process="decider")
    decider = site.decider(log=log)
    settle(decider)
    ids = [ask_server(site, number) for number in range(ASKED)]
    for _ in range(30):
        decider.step(0.0)
        site.now += 100_000
    decided, waiting = accepted(site), queued(decider)
    assert HELD_BACK <= len(decided) <= HELD_BACK + BATCH, "one batch at most comes on top"
    assert QUEUED <= waiting <= QUEUED + 2 * BATCH, "one poll at most comes on top"
    (trouble,) = decider.troubles()
    assert FLEET in trouble

    log.away = False
    for _ in range(ASKED):
        decider.step(0.0)
        site.now += 100_000
    assert accepted(site) == ids, "each once, in order"
    assert queued(decider) == 0
    placed = [record.headers["ce_causationid"] for record in site.records(FLEET)]
    assert len(set(placed)) == len(placed) == ASKED
    assert decider.troubles() == []


def ask_server(site: Site, number: int) -> str:
    command = create(str(UUID(int=number)), project_id=f"project-{number}")
    return site.ask(command, command.project_id)


def accepted(site: Site) -> list[str]:
    """The commands that were decided, in order."""
    return list(dict.fromkeys(record.headers["ce_causationid"] for record in site.events()))


def queued(decider: Decider) -> int:
    return sum(len(one.queue) for one in decider._ownership.owned.values())
