"""What simulated seeds found, each as a small story of its own: none may come back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import handlers.decider
from commands.compute.flavor import CreateFlavor
from events import topics
from events.compute.flavor import KEY
from events.log.contract import LogUnavailable, Outgoing
from events.log.memory import Cluster, Fault, MemoryLog, Operation
from events.log.records import Codec, headers
from events.message import Context, Message
from handlers.decider import Decider
from tests.commands.compute.servers import HOST

CODEC = Codec()
COMMANDS, DISPATCH = topics.commands("compute"), topics.dispatch(HOST)
NOW = 1_800_000_000_000_000


class Site:
    """A cluster of one partition each; ``faults`` is asked before each operation."""

    def __init__(self) -> None:
        self.faults: Callable[[Operation], Fault | None] = lambda operation: None
        self.cluster = Cluster(lambda: NOW, faults=lambda operation: self.faults(operation))
        for topic in [*topics.all_topics(1), topics.of_host(HOST)]:
            self.cluster.create(topic)
        self._made = 0

    def log(self, process: str) -> MemoryLog:
        return MemoryLog(cluster=self.cluster, process=process)

    def append(self, topic: str, key: str, message: Message) -> None:
        self._made += 1
        context = Context(id=f"record-{self._made}", time=NOW)
        made = headers(context, message.type_name, "/test")
        self.log("client").append([Outgoing(topic, key, CODEC.encode(message), made)])

    def ask_flavor(self, id: str) -> None:
        command = CreateFlavor(
            flavor_id=id,
            name=id,
            vcpus=1,
            ram_mib=1,
            root_gib=0,
            ephemeral_gib=0,
            swap_mib=0,
            rxtx_factor=1.0,
            is_public=True,
            description=None,
            disabled=False,
            project_ids=[],
        )
        self.append(COMMANDS, KEY, command)

    def decider(self, log: MemoryLog, snapshots: Path | None = None) -> Decider:
        return Decider(log, ["compute"], snapshots=snapshots, clock=lambda: NOW, codec=CODEC)


def settle(decider: Decider) -> None:
    for _ in range(5):
        decider.step(0.0)


def flavors(decider: Decider) -> set[str]:
    states = decider.states("compute", 0, "flavor")
    assert states is not None
    return set(states)


def test_a_decider_stopped_while_it_saves_keeps_no_snapshot_of_anothers_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had read the end of the events after others wrote there, and kept that with its own
    older state; when it owned the partition again, it could not fold on."""
    monkeypatch.setattr(handlers.decider, "SNAPSHOT_EVERY", 1)
    site = Site()
    log = site.log("first")
    first = site.decider(log, tmp_path)
    settle(first)
    second: list[Decider] = []

    def stopped(operation: Operation) -> None:
        if operation == ("settled_end", "first") and not second:
            log.expel()
            second.append(site.decider(site.log("second")))
            site.ask_flavor("another")
            settle(second[0])

    site.ask_flavor("one")
    site.faults = stopped
    settle(first)
    assert second
    second[0].close()
    settle(first)
    assert flavors(first) == {"one", "another"}


def test_a_decider_whose_rewind_fails_too_still_decides_what_it_read() -> None:
    """It had forgotten its partitions and kept the worker: commands were read and dropped."""
    site = Site()
    decider = site.decider(site.log("decider"))
    settle(decider)
    site.ask_flavor("one")
    away = [Operation("transact", "decider"), Operation("rewind", "decider")]

    def unavailable(operation: Operation) -> Fault | None:
        if operation in away:
            away.remove(operation)
            return Fault.UNAVAILABLE
        return None

    site.faults = unavailable
    with pytest.raises(LogUnavailable):
        decider.step(0.0)
    with pytest.raises(LogUnavailable):
        decider.step(0.0)
    assert not away
    settle(decider)
    assert flavors(decider) == {"one"}
