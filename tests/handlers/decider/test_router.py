"""Which way effects take: in memory and through the log, never one past the other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from commands.compute.ping import Ping
from events import topics
from events.log.memory import Cluster, MemoryLog
from events.message import Context
from handlers.decider.effects import Effect
from handlers.decider.outbox import Outbox
from handlers.decider.owned import Owned, Phase
from handlers.decider.partition import Partition
from handlers.decider.router import Router
from tests.handlers.decider.site import CODEC

TARGET = ("fleet.commands", 0)


def effect(offset: int) -> Effect:
    return Effect(
        TARGET,
        "key",
        Ping(key="key"),
        Context(id=f"compute.events/0/{offset}>0", time=1),
        "/chronova/compute.events/0",
        offset=offset,
    )


def deciding(domain: str) -> Owned:
    partition = Partition(domain, 0, CODEC)
    made = Owned(domain, 0, partition, cast(Any, None))
    made.polled[made.commands[0]] = 0
    made.phase = Phase.DECIDING
    return made


class Way:
    """A sender and a receiver of one process, and the log."""

    def __init__(self) -> None:
        self.cluster = Cluster(lambda: 0)
        for topic in topics.all_topics(1):
            self.cluster.create(topic)
        self.log = MemoryLog(cluster=self.cluster, process="decider")
        self.outbox = Outbox(self.log, CODEC, appended=lambda target, offset: None)
        self.sender, self.receiver = deciding("compute"), deciding("fleet")
        ownership: Any = SimpleNamespace(
            owned={("compute.commands", 0): self.sender, TARGET: self.receiver}
        )
        self.router = Router(self.log, ownership, self.outbox, handing_over=True)

    def handed(self) -> list[int]:
        return [item.effect.offset for item in self.receiver.queue if item.effect is not None]

    def sent(self) -> list[str]:
        while self.outbox.step():
            pass
        return [r.headers["ce_id"] for r in self.cluster.partitions[TARGET].records]


def test_nothing_overtakes_what_is_handed_over_by_the_log() -> None:
    """The relay appended something for the receiver meanwhile, which it has not read: the next
    effect went by the log then, before the first one was committed, and that one passed for
    taken."""
    way = Way()
    way.router.route(way.sender, [effect(1)])
    way.router.appended(TARGET, 7)
    way.router.route(way.sender, [effect(2)])
    assert way.handed() == [1, 2]
    way.router.take_back(way.receiver)
    assert way.sent() == ["compute.events/0/1>0", "compute.events/0/2>0"], "in order"


def test_by_the_log_again_once_all_that_was_handed_over_is_taken() -> None:
    way = Way()
    way.router.route(way.sender, [effect(1)])
    way.router.appended(TARGET, 7)
    way.router.settle(way.receiver.queue.popleft())
    way.router.route(way.sender, [effect(2)])
    assert way.handed() == []
    assert way.sent() == ["compute.events/0/2>0"]


def test_what_is_taken_back_is_sent_although_its_sender_has_lost_its_term() -> None:
    """Both commits of a turn failed. The sender does not derive again what it committed itself."""
    way = Way()
    way.router.route(way.sender, [effect(1)])
    way.sender.wait(Phase.WAITING, 0, "the log is away")
    way.router.take_back(way.receiver)
    assert way.sent() == ["compute.events/0/1>0"]
