"""A site of one partition each on the log in memory, for tests of the runner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from commands.compute.flavor import CreateFlavor
from events import topics
from events.compute.flavor import KEY
from events.log.contract import Log, Outgoing, Record
from events.log.memory import Cluster, Fault, MemoryLog, Operation
from events.log.records import Codec, headers
from events.log.terms import Terms, is_control
from events.message import Command, Context, Message
from events.outcome import Reply
from handlers.decider import Decider
from handlers.decider.budget import UNLIMITED, Budget

CODEC = Codec()
NOW = 1_800_000_000_000_000
HOST = "host-1"


class Site:
    """A cluster; ``faults`` is asked before each operation, ``now`` is everybody's clock."""

    def __init__(self, partitions: int = 1) -> None:
        self.now = NOW
        self.faults: Callable[[Operation], Fault | None] = lambda operation: None
        self.cluster = Cluster(lambda: self.now, faults=lambda operation: self.faults(operation))
        for topic in [*topics.all_topics(partitions), topics.of_host(HOST)]:
            self.cluster.create(topic)
        self._made = 0

    def log(self, process: str) -> MemoryLog:
        return MemoryLog(cluster=self.cluster, process=process)

    def decider(
        self,
        process: str = "decider",
        snapshots: Path | None = None,
        domains: tuple[str, ...] = ("compute",),
        *,
        log: Log | None = None,
        codec: Codec = CODEC,
        handing_over: bool = True,
        budget: Budget = UNLIMITED,
    ) -> Decider:
        return Decider(
            log or self.log(process),
            domains,
            snapshots=snapshots,
            clock=lambda: self.now,
            codec=codec,
            handing_over=handing_over,
            threaded=False,
            budget=budget,
        )

    def append(self, topic: str, key: str, message: Message, id: str = "") -> str:
        """Append one record as a client does; its id."""
        self._made += 1
        id = id or f"record-{self._made}"
        context = Context(id=id, time=self.now, reply_to="0", request_id=f"req-{self._made}")
        made = headers(context, message.type_name, "/test")
        self.log("client").append([Outgoing(topic, key, CODEC.encode(message), made)])
        return id

    def ask(self, command: Command, key: str, id: str = "") -> str:
        return self.append(topics.commands(command.type_domain), key, command, id)

    def ask_flavor(self, name: str, id: str = "") -> str:
        return self.ask(flavor(name), KEY, id)

    def records(self, topic: str, partition: int = 0) -> list[Record]:
        return list(self.cluster.partitions[topic, partition].records)

    def events(self, domain: str = "compute", partition: int = 0) -> list[Record]:
        """The events that count, in order."""
        terms = Terms()
        return [
            record
            for record in self.records(topics.events(domain), partition)
            if terms.admits(record) and not is_control(record)
        ]

    def answers(self) -> dict[str, list[Reply]]:
        """What senders were told, by the id of their command."""
        found: dict[str, list[Reply]] = {}
        for record in self.records(topics.REPLIES):
            reply = CODEC.decode(record.value)
            assert isinstance(reply, Reply)
            found.setdefault(reply.command_id, []).append(reply)
        return found


def settle(*deciders: Decider, turns: int = 8) -> None:
    """Until nothing more happens."""
    for _ in range(turns):
        for decider in deciders:
            decider.step(0.0)


def flavors(decider: Decider) -> set[str]:
    states = decider.states("compute", 0, "flavor")
    assert states is not None
    return set(states)


def flavor(name: str, **fields: object) -> CreateFlavor:
    given = {
        "flavor_id": name,
        "name": name,
        "vcpus": 1,
        "ram_mib": 1,
        "root_gib": 0,
        "ephemeral_gib": 0,
        "swap_mib": 0,
        "rxtx_factor": 1.0,
        "is_public": True,
        "description": None,
        "disabled": False,
        "project_ids": [],
    }
    return CreateFlavor(**{**given, **fields})  # type: ignore[arg-type]
