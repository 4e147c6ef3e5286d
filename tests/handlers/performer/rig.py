"""A performer with kinds of work of its own, which touch no domain's driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from commands.compute.power import ReportGuestStopped, StopGuest
from commands.compute.progress import ReportProgress
from commands.compute.work_failed import ReportWorkFailed
from commands.work import Order, Wish, name_work
from events import topics
from events.log.contract import Outgoing
from events.log.memory import Cluster, Fault, MemoryLog, Operation
from events.log.records import Codec, headers
from events.message import Command, Context, Message, Work
from handlers.compute.performing import unable
from handlers.performer.kind import Kind
from handlers.performer.mark import Mark
from handlers.performer.performer import Performer
from handlers.performer.piece import Task, WorkError
from handlers.performer.pool import Pool

DISPATCH, REPORTS = topics.dispatch("h"), topics.reports("compute")
NOW = 1_800_000_000_000_000
CODEC = Codec()


class WantedRules(Wish, frozen=True, kw_only=True):
    """A wish as a network would have it; not a message of the wire."""

    abstract: ClassVar[bool] = True
    subject_field: ClassVar[str] = "network"
    type_name: ClassVar[str] = "network.WantedRules"
    network: str
    rules: str


class OwnCodec(Codec):
    """Knows the wish beside the messages of the wire."""

    wishes: ClassVar[dict[bytes, WantedRules]] = {}

    def decode(self, value: bytes) -> Message:
        return self.wishes.get(value) or super().decode(value)


class Transient(WorkError):
    transient = True


class Memory:
    """``Marks`` in memory."""

    def __init__(self) -> None:
        self.marks: dict[str, Mark] = {}
        self.starts = 0

    def mark(self, subject: str) -> Mark | None:
        return self.marks.get(subject)

    def put_mark(self, subject: str, mark: Mark) -> None:
        self.marks[subject] = mark

    def incarnation(self, subject: str) -> str:
        return str(self.starts)


class KeptHere:
    """``Keeper`` that outlives the performer."""

    def __init__(self) -> None:
        self.content: bytes | None = None

    def load(self) -> bytes | None:
        return self.content

    def save(self, content: bytes) -> None:
        self.content = content


class Rig:
    """A performer of one host, whose only kinds are ``perform`` for stops and for wishes."""

    def __init__(self, pool: Pool | None = None, *, long: bool = False, once: bool = False) -> None:
        self.now = NOW
        self.fault: Callable[[Operation], Fault | None] = lambda operation: None
        self.cluster = Cluster(lambda: self.now, faults=lambda o: self.fault(o))
        for topic in [*topics.all_topics(1), topics.of_host("h")]:
            self.cluster.create(topic)
        self.marks = Memory()
        self.perform: Callable[[Any, Task], Command | None] = lambda work, task: done(work)
        self.fail: Callable[[Any, Task, str], Command] = failed
        self.defects = 0
        self.outcomes: list[str] = []
        self.pool, self.long, self.once = pool, long, once
        self.keeper = KeptHere()
        self.told = 0
        self.codec = OwnCodec()
        self.performer = self.start()

    def start(self) -> Performer:
        kind = Kind(
            perform=lambda work, task: self.perform(work, task),
            failed=lambda work, task, reason: self.fail(work, task, reason),
            marks=lambda host: self.marks,
            long=self.long,
            once=self.once,
            queued=lambda work, host: ReportProgress(step="queued", **about(work)),
        )
        self.performer = Performer(
            MemoryLog(cluster=self.cluster, process="agent"),
            "h",
            {DISPATCH: "h"},
            {StopGuest.type_name: kind, WantedRules.type_name: kind},
            unable,
            clock=lambda: self.now,
            pause=lambda seconds: None,
            short=self.pool,
            long=self.pool,
            codec=self.codec,
            keeper=self.keeper,
            watcher=self,
        )
        return self.performer

    def work(self, kind: str, outcome: str, seconds: float) -> None:
        self.outcomes.append(outcome)

    def pending(self, subjects: int) -> None:
        pass

    def defect(self) -> None:
        self.defects += 1

    def tell(self, work: Work, value: bytes | None = None) -> str:
        self.told += 1
        id = f"compute.events/0/{self.told}>0"
        context = Context(id=id, time=NOW, project_id="p")
        made = name_work(headers(context, work.type_name, "/test"), work)
        out = Outgoing(DISPATCH, "h", CODEC.encode(work) if value is None else value, made)
        MemoryLog(cluster=self.cluster, process="test").append([out])
        return id

    def wish(self, revision: int, rules: str) -> None:
        wish = WantedRules(revision=revision, network="net", rules=rules)
        value = f"wish {revision} {rules}".encode()
        OwnCodec.wishes[value] = wish
        self.tell(wish, value)

    def steps(self, count: int = 3) -> None:
        for _ in range(count):
            self.performer.step(0.0)

    def reports(self) -> list[tuple[str, Any]]:
        records = self.cluster.partitions[REPORTS, 0].records
        return [(r.headers["ce_id"], CODEC.decode(r.value)) for r in records]

    def reported(self) -> list[str]:
        return [type(report).__name__ for _, report in self.reports()]


def stop(operation: int = 2, server: str = "s") -> StopGuest:
    return StopGuest(server_id=server, project_id="p", generation=1, operation=operation, grace_s=0)


def about(work: Order) -> dict[str, Any]:
    return {
        "server_id": work.subject,
        "project_id": "p",
        "host": "h",
        "generation": work.generation,
        "operation": work.operation,
    }


def done(work: Order) -> ReportGuestStopped:
    return ReportGuestStopped(power_state=4, **about(work))


def failed(work: Order, task: Task, reason: str) -> ReportWorkFailed:
    return ReportWorkFailed(reason=reason, **about(work))


def raising(error: Exception) -> Callable[[Any, Task], Command]:
    def perform(work: Any, task: Task) -> Command:
        raise error

    return perform
