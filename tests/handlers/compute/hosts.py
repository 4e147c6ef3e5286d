"""A host under its agent, on the log in memory: what is told to it, what it did, where it dies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import commands.compute  # noqa: F401 - registers the reports
import handlers.compute  # noqa: F401 - registers the kinds of work
from commands.compute.boot import BuildGuest
from commands.compute.delete import RemoveGuest
from commands.compute.guest import GuestWork, guest_of
from commands.compute.power import StartGuest, StopGuest
from commands.compute.reboot import RebootGuest
from commands.work import name_work
from events import topics
from events.log.contract import Outgoing, Record, TopicPartition
from events.log.memory import Cluster, Crash, Fault, MemoryLog, Operation
from events.log.memory_cluster import Partition
from events.log.records import Codec, headers
from events.message import Context, Message
from handlers.compute.agent import Agent
from handlers.compute.drivers.contract import PowerState
from handlers.compute.drivers.simulated import SimulatedDriver
from handlers.compute.drivers.simulated_guests import SimulatedGuest, SimulatedHypervisor
from handlers.compute.image_fetch import Transfer
from handlers.performer.pool import Pool
from handlers.performer.witness import Witness
from tests.commands.compute.servers import HOST, P, S, active, compute

CODEC = Codec()
NOW = 1_800_000_000_000_000
DISPATCH, REPORTS = topics.dispatch(HOST), topics.reports("compute")
IMAGE = b"an image"


class Points:
    """The places where a process may die, counted; ``at``: the one where it does."""

    def __init__(self) -> None:
        self.passed = 0
        self.at: int | None = None

    def passing(self, place: str) -> None:
        """Another one. Raises ``Crash`` there where it is to be."""
        self.passed += 1
        if self.passed == self.at:
            raise Crash(place)


class Hypervisor(SimulatedHypervisor):
    """Guests that outlive the agent. Each change of them is a point before and after."""

    def __init__(self, points: Points) -> None:
        super().__init__()
        self._points = points
        self.starts: Counter[str] = Counter()
        self._boots: dict[str, int] = {}

    def put(self, guest: SimulatedGuest) -> None:
        self._points.passing("before a change")
        super().put(guest)
        self.starts[guest.server_id] += guest.boots - self._boots.get(guest.server_id, 0)
        self._boots[guest.server_id] = guest.boots
        self._points.passing("after a change")

    def drop(self, server_id: str) -> None:
        self._points.passing("before a removal")
        super().drop(server_id)
        self._points.passing("after a removal")


class Driver(SimulatedDriver):
    """Changes copies, so that a death before ``put`` leaves the guest as it was."""

    def _change(self, guest: SimulatedGuest, **changes: object) -> None:
        there = self.hypervisor.guests.get(guest.server_id, guest)
        copied = SimulatedGuest(**{f: getattr(there, f) for f in there.__struct_fields__})
        for name, value in changes.items():
            setattr(copied, name, value)
        self.hypervisor.put(copied)
        for name in copied.__struct_fields__:
            setattr(guest, name, getattr(copied, name))


class Disk:
    """``handlers.performer.bookmark.Keeper`` that outlives the agent."""

    def __init__(self, points: Points) -> None:
        self.content: bytes | None = None
        self._points = points

    def load(self) -> bytes | None:
        return self.content

    def save(self, content: bytes) -> None:
        self._points.passing("before a save")
        self.content = content
        self._points.passing("after a save")


class Host:
    """One host and its agent; ``fault`` is asked at each operation on the log."""

    def __init__(self, record_bytes_max: int = 1 << 20) -> None:
        self.points = Points()
        self.now = NOW
        self.fault: Callable[[Operation], Fault | None] = lambda operation: None
        self.cluster = Cluster(
            lambda: self.now,
            faults=self._strikes,
            record_bytes_max=record_bytes_max,
        )
        for topic in [*topics.all_topics(1), topics.of_host(HOST)]:
            self.cluster.create(topic)
        self.hypervisor = Hypervisor(self.points)
        self.disk = Disk(self.points)
        self.written = Disk(Points())
        self.fetch: Callable[[str, Path, Transfer], None] = _fetch
        self.agents = 0
        self.told = 0
        self.defects = 0
        self.outcomes: list[tuple[str, str]] = []
        self.agent: Agent | None = None
        self.pool: Pool | None = None
        self.threads = 0
        self.deaf = ""

    def _strikes(self, operation: Operation) -> Fault | None:
        if operation.process == "test":
            return None
        self.points.passing(f"before {operation.name}")
        fault = self.fault(operation)
        if fault is None and operation.name == "append":
            self.points.passed += 1
            if self.points.passed == self.points.at:
                return Fault.CRASH_AFTER
        return fault

    # ------------------------------------------------------------ the agent

    def start(self) -> Agent:
        """A new process: it has nothing but the host and its files."""
        self.agents += 1
        log = MemoryLog(cluster=self.cluster, process=f"agent-{self.agents}")
        witness = Witness(log, self.written, lambda: self.now, save_every=0)
        self.agent = Agent(
            log,
            HOST,
            {HOST: self.driver()},
            self.fetch,
            threads=self.threads,
            clock=lambda: self.now,
            pause=lambda seconds: None,
            codec=CODEC,
            keeper=self.disk,
            pool=self.pool,
            watcher=self,
            node_ids={HOST: "node-1"},
            appender=witness,
            anew=witness.went_back(),
        )
        return self.agent

    def driver(self) -> Driver:
        return Driver(HOST, hypervisor=self.hypervisor, sleep=lambda s: None, deaf_guests=self.deaf)

    def work(self, kind: str, outcome: str, seconds: float) -> None:
        self.outcomes.append((kind.partition(".")[2], outcome))

    def pending(self, subjects: int) -> None:
        pass

    def defect(self) -> None:
        self.defects += 1

    def settle(self) -> None:
        """Step until nothing is left to do; a process that dies is followed by another one."""
        quiet = 0
        while quiet < 3:
            try:
                agent = self.agent or self.start()
                self.now += 6_000_000
                read = agent.step(0.0)
                quiet = quiet + 1 if agent.at_rest() and not read else 0
            except Crash:
                self.agent, quiet = None, 0
                self.points.at = None

    # ------------------------------------------------------------- the log

    def copy(self) -> dict[TopicPartition, list[Record]]:
        """A backup of the log."""
        return {source: list(one.records) for source, one in self.cluster.partitions.items()}

    def restore(self, copy: Mapping[TopicPartition, Sequence[Record]]) -> None:
        """The agent ends, and the log is that of the copy; another agent is started later."""
        self.agent = None
        for source, records in copy.items():
            partition = self.cluster.partitions[source] = Partition()
            partition.records = list(records)

    def tell(self, work: Message, id: str = "") -> str:
        """Append a piece of work; the id of its record."""
        self.told += 1
        id = id or f"compute.events/0/{self.told}>0"
        context = Context(id=id, time=self.now, project_id=P, request_id="req-1")
        made = headers(context, work.type_name, "/test")
        self.append(CODEC.encode(work), name_work(made, work))  # type: ignore[arg-type]
        return id

    def append(self, value: bytes, made: dict[str, str]) -> None:
        log = MemoryLog(cluster=self.cluster, process="test")
        log.append([Outgoing(DISPATCH, HOST, value, made)])

    def reports(self) -> list[tuple[str, Any]]:
        """What the host reported: the record's id and the report, in order."""
        records = self.cluster.partitions[REPORTS, 0].records
        return [(r.headers["ce_id"], CODEC.decode(r.value)) for r in records]

    def reported(self) -> list[str]:
        """The names of the reports."""
        return [type(report).__name__ for _, report in self.reports()]

    # ---------------------------------------------------------- the guest

    @property
    def guest(self) -> SimulatedGuest | None:
        return self.hypervisor.guests.get(S)

    @property
    def state(self) -> PowerState:
        return self.guest.state if self.guest is not None else PowerState.NOSTATE

    @property
    def starts(self) -> int:
        """How often the guest was started in all."""
        return self.hypervisor.starts[S]


def _fetch(checksum: str, path: Path, transfer: Transfer) -> None:
    transfer.moved(0, len(IMAGE))
    path.write_bytes(IMAGE)


def _common(operation: int, generation: int = 1) -> dict[str, Any]:
    return {"server_id": S, "project_id": P, "generation": generation, "operation": operation}


def _guest() -> Any:
    import hashlib

    import msgspec

    guest = guest_of(compute(*active()).state("server", S))
    assert guest.image is not None
    image = msgspec.structs.replace(guest.image, checksum=hashlib.sha512(IMAGE).hexdigest())
    return msgspec.structs.replace(guest, image=image)


def build(operation: int = 1) -> BuildGuest:
    return BuildGuest(guest=_guest(), **_common(operation))


def stop(operation: int) -> StopGuest:
    return StopGuest(grace_s=0, **_common(operation))


def start(operation: int) -> StartGuest:
    return StartGuest(guest=_guest(), **_common(operation))


def reboot(operation: int, hard: bool = True) -> RebootGuest:
    return RebootGuest(hard=hard, timeout_s=1, guest=_guest(), **_common(operation))


def remove(operation: int, disks: bool = True) -> RemoveGuest:
    return RemoveGuest(disks=disks, **_common(operation))


def built() -> Host:
    """A host with a guest that runs, at rest."""
    host = Host()
    host.tell(build())
    host.settle()
    assert host.state is PowerState.RUNNING
    return host


def works() -> dict[str, Callable[[int], GuestWork]]:
    """Every kind of order, by name."""
    return {
        "build": build,
        "stop": stop,
        "start": start,
        "hard reboot": reboot,
        "soft reboot": lambda operation: reboot(operation, hard=False),
        "remove": remove,
    }
