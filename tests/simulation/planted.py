"""Bugs on purpose: each replaces one piece of the real code by a wrong one for a while.

A harness that does not find them proves nothing. Some are the very bugs that seeds found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import msgspec
from handlers.partition import Decided, Partition

import commands.compute.boot
import commands.compute.delete
import commands.compute.overdue
import commands.compute.power
import commands.compute.reboot
import commands.compute.reports
import commands.fleet.scheduling
from commands.compute import create, limits
from commands.compute.boot import BuildGuest, ReportDomainStarted
from commands.decision import Decision
from commands.fleet.room import with_room
from commands.fleet.scheduling import Fleet
from events import topics
from events.aggregate import AGGREGATES
from events.compute.server import Server
from events.compute.server import facts as f
from events.fleet.allocation import AllocationClaimed
from events.fleet.host import Host
from events.log.contract import Fenced, LogUnavailable, Record, TopicPartition
from events.log.memory_groups import Groups
from events.message import Event
from handlers.compute.performing import PERFORMANCES, GuestTask
from handlers.decider import BATCH_MAX, Decider
from handlers.performer.bookmark import Bookmark
from handlers.performer.lanes import Lanes
from handlers.performer.perform import PieceTask
from handlers.performer.performer import Performer
from handlers.performer.piece import Piece
from handlers.reaction import REACTIONS
from projections.fold import Fold
from tests.simulation.faults import SlowHosts

Apply = Callable[[], Iterator[None]]


class Planted(msgspec.Struct, frozen=True):
    """A bug; ``workload`` and ``faults`` where only some can bring it to light (None: drawn)."""

    apply: Callable[[], AbstractContextManager[None]]
    workload: str | None = None
    faults: tuple[str, ...] | None = None


PLANTED: dict[str, Planted] = {}


def planted(
    workload: str | None = None, faults: tuple[str, ...] | None = None
) -> Callable[[Apply], Apply]:
    """Named by its function."""

    def plant(apply: Apply) -> Apply:
        PLANTED[apply.__name__] = Planted(contextmanager(apply), workload, faults)
        return apply

    return plant


@contextmanager
def swapped(owner: Any, name: str, wrong: Any) -> Iterator[None]:
    """``owner.name`` is ``wrong`` meanwhile."""
    right = owner.__dict__[name]
    setattr(owner, name, wrong)
    try:
        yield
    finally:
        setattr(owner, name, right)


@contextmanager
def replaced(table: Any, key: str, wrong: Any) -> Iterator[None]:
    """``table[key]`` is ``wrong`` meanwhile."""
    right = table[key]
    table[key] = wrong
    try:
        yield
    finally:
        table[key] = right


# ------------------------------------------------------------------ the log


@planted()
def dropped_fence() -> Iterator[None]:
    """A transaction of a zombie is accepted."""

    def move(
        self: Groups,
        group: str,
        epochs: Mapping[TopicPartition, int],
        offsets: Mapping[TopicPartition, int],
    ) -> None:
        for source, offset in offsets.items():
            self._held[group][source].next_offset = offset

    with swapped(Groups, "move", move):
        yield


# -------------------------------------------------------------- the decider


@planted()
def dedup_off() -> Iterator[None]:
    """A redelivered command is decided again."""
    right = Partition.decide

    def decide(self: Partition, record: Record, now: int, bytes_max: int) -> Decided:
        self.remembered.clear()
        return right(self, record, now, bytes_max)

    with swapped(Partition, "decide", decide):
        yield


@planted(faults=("crash", "lost", "slow"))
def deadlines_forgotten_by_the_next_owner() -> Iterator[None]:
    """Deadlines are noted when decided, not when folded."""
    right = Partition.fold

    def fold(self: Partition, record: Record) -> None:
        right(self, record)
        self._deadlines.clear()

    with swapped(Partition, "fold", fold):
        yield


@planted()
def state_kept_after_an_unknown_outcome() -> Iterator[None]:
    """After LogUnavailable the decider goes on with what it decided, true or not."""

    def step(self: Decider, wait_s: float = 1.0) -> int:
        try:
            polled = self._worker.poll(self._patience(wait_s), BATCH_MAX)
            self._follow_ownership(polled)
            return self._handle(polled.records)
        except Fenced:
            self._forget_all()
            self._worker.rewind()
            return 0

    with swapped(Decider, "step", step):
        yield


@planted()
def failed_rewind_forgotten() -> Iterator[None]:
    """A rewind that fails is not tried again."""

    def step(self: Decider, wait_s: float = 1.0) -> int:
        try:
            polled = self._worker.poll(self._patience(wait_s), BATCH_MAX)
            self._follow_ownership(polled)
            return self._handle(polled.records)
        except Fenced:
            self._forget_all()
            self._worker.rewind()
            return 0
        except LogUnavailable:
            self._forget_all()
            self._worker.rewind()
            raise

    with swapped(Decider, "step", step):
        yield


@planted(faults=("zombie",))
def snapshot_with_anothers_position() -> Iterator[None]:
    """A decider that has lost its partition keeps its own state with the others' end."""

    def save(self: Decider, source: TopicPartition, partition: Partition) -> None:
        output = (topics.events(partition.domain), partition.number)
        partition.offset = self._log.settled_end(output)
        self._snapshots.save(partition)

    with swapped(Decider, "_save", save):
        yield


@planted()
def snapshot_without_memory() -> Iterator[None]:
    """Commands remembered by id are not in the snapshot."""
    import handlers.snapshot

    right = handlers.snapshot._restore

    def restore(partition: Partition, stored: Any) -> None:
        right(partition, stored)
        partition.remembered.clear()

    with swapped(handlers.snapshot, "_restore", restore):
        yield


# ------------------------------------------------------------ the reactions


@planted()
def missed_release() -> Iterator[None]:
    """A deleted server's room is not given back."""
    with replaced(REACTIONS, f.ServerDeleted.type_name, []):
        yield


@planted()
def late_claim_kept() -> Iterator[None]:
    """A host found for a server that is gone keeps its room."""
    with replaced(REACTIONS, f.HostSelectionDiscarded.type_name, []):
        yield


@planted(workload="boots", faults=("failure",))
def stray_left_alone() -> Iterator[None]:
    """A guest that is nobody's is not removed."""
    with replaced(REACTIONS, f.StaleGuestFound.type_name, []):
        yield


# ---------------------------------------------------------------- decisions


def _ignoring(*fields: str) -> Callable[..., Decision | None]:
    right = commands.compute.reports.stale

    def stale(server: Server | None, report: Any, at: int, *tasks: str) -> Decision | None:
        if server is not None:
            same = {field: getattr(server, field) for field in fields}
            report = msgspec.structs.replace(report, **same)
        return right(server, report, at, *tasks)

    return stale


@planted(workload="boots", faults=("crash", "failure", "unavailable"))
def stale_reports_count() -> Iterator[None]:
    """Reports of an older attempt or operation count."""
    wrong = _ignoring("generation", "operation")
    with (
        swapped(commands.compute.boot, "stale", wrong),
        swapped(commands.compute.power, "stale", wrong),
        swapped(commands.compute.reboot, "stale", wrong),
        swapped(commands.compute.delete, "stale", wrong),
    ):
        yield


@planted()
def claims_blind_to_each_other() -> Iterator[None]:
    """The servers of one request are placed as if each were alone."""

    def fold(self: Fleet, event: AllocationClaimed) -> Host:
        host: Host = self._view.get("host", event.host)
        return host

    with swapped(Fleet, "fold", fold):
        yield


@planted()
def overcommitted_host() -> Iterator[None]:
    """A host takes one server more than fits."""

    def generous(hosts: Sequence[Host], resources: Any) -> list[Host]:
        none = msgspec.structs.replace(resources, ram_mib=0, vcpus=0, disk_gib=0)
        return with_room(hosts, none)

    import commands.fleet.room

    with (
        swapped(commands.fleet.scheduling, "with_room", generous),
        swapped(commands.fleet.room, "with_room", generous),
    ):
        yield


@planted()
def quota_not_counted() -> Iterator[None]:
    """All of a request's servers are accepted when one fits."""
    right = create._fitting

    def fitting(project: Any, flavor: Any, wanted: int) -> int:
        return wanted if right(project, flavor, 1) else 0

    with swapped(create, "_fitting", fitting):
        yield


@planted()
def quota_not_returned() -> Iterator[None]:
    """A deleted server's quota stays taken."""
    right = AGGREGATES["project"]

    def evolve(project: Any, event: Event) -> Any:
        return project if isinstance(event, f.ServerDeleted) else right.evolve(project, event)

    with replaced(AGGREGATES, "project", msgspec.structs.replace(right, evolve=evolve)):
        yield


@planted(workload="boots", faults=("slow",))
def silent_host_replaced() -> Iterator[None]:
    """A build that a host did not end in time begins elsewhere at once. It shows where the deadline
    falls into a build's last steps: so hosts are slow by that much, and stay so."""

    right = commands.compute.overdue.way_out

    def wrong(server: Server, task: str, at: int, reason: str) -> list[Event]:
        more = server.alternates and len(server.failed_hosts) + 1 < limits.ATTEMPTS_MAX
        if task in commands.compute.boot.BUILDING and more:
            return commands.compute.boot.build_removed(server, at)
        return right(server, task, at, reason)

    with (
        swapped(SlowHosts, "steps_s", (0.0, 110.0, 130.0, 150.0, 180.0)),
        swapped(SlowHosts, "growth", 10.0),
        swapped(commands.compute.overdue, "way_out", wrong),
    ):
        yield


@planted(faults=("lost", "slow"))
def deadline_without_a_way_out() -> Iterator[None]:
    """Nobody ends a stop that its host does not answer."""
    right = commands.compute.overdue.way_out

    def wrong(server: Server, task: str, at: int, reason: str) -> list[Event]:
        return [] if task in ("powering-off", "networking") else right(server, task, at, reason)

    with swapped(commands.compute.overdue, "way_out", wrong):
        yield


# ------------------------------------------------------------------ the host


@planted()
def ended_before_reported() -> Iterator[None]:
    """The agent notes that work has ended first, and writes what came of it afterwards."""

    def flush(self: Performer) -> None:
        ended, self._ended = self._ended, []
        for topic, offset in ended:
            self._bookmark.settle(topic, offset)
        self._bookmark.save()
        self._outbox.flush()

    with swapped(Performer, "_flush", flush):
        yield


@planted(faults=("crash", "restart"))
def unfinished_work_forgotten() -> Iterator[None]:
    """The bookmark passes work that is still under way."""

    def begin(self: Bookmark, topic: str, offset: int) -> None:
        self._changed = True

    with swapped(Bookmark, "begin", begin):
        yield


@planted()
def reported_before_done() -> Iterator[None]:
    """A guest is called running before it is even defined."""
    right = PERFORMANCES[BuildGuest.type_name]

    def build(work: BuildGuest, task: GuestTask) -> Any:
        task.report(ReportDomainStarted, power_state=1)
        return right.perform(work, task)

    wrong = msgspec.structs.replace(right, perform=build)
    with replaced(PERFORMANCES, BuildGuest.type_name, wrong):
        yield


@planted()
def newer_work_dropped() -> Iterator[None]:
    """The agent performs what came first, whatever is newer."""
    right = Lanes._put

    def put(self: Lanes, piece: Piece, over: list[Piece], called_off: list[Piece]) -> None:
        if piece.key in self._lanes:
            over.append(piece)
        else:
            right(self, piece, over, called_off)

    with swapped(Lanes, "_put", put):
        yield


@planted(workload="reboots", faults=("crash",))
def effects_repeated() -> Iterator[None]:
    """An agent that starts again does not look whether the reboot that it began took place."""

    def happened(self: PieceTask) -> bool:
        return False

    with swapped(PieceTask, "happened", happened):
        yield


# ----------------------------------------------------------- the projections


@planted()
def projector_forgets_rows() -> Iterator[None]:
    """A projector that starts anew does not load the states it goes on from."""

    def needs(self: Fold, reads: Sequence[Any]) -> dict[str, list[str]]:
        return {}

    with swapped(Fold, "needs", needs):
        yield
