"""Bugs in the decider and in the log's terms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

import handlers.decider.partition
from events.log import memory_journal
from events.log.contract import (
    Commit,
    Journal,
    LogError,
    Outgoing,
    Record,
)
from events.log.memory_cluster import Cluster
from events.log.terms import TERM
from handlers.decider import Decider
from handlers.decider.draft import Decided, Draft
from handlers.decider.inputs import Input
from handlers.decider.intake import Intake
from handlers.decider.loop import TRIES_MAX
from handlers.decider.marks import Marks
from handlers.decider.outbox import Outbox
from handlers.decider.owned import Owned
from handlers.decider.ownership import Ownership
from handlers.decider.partition import ForeignLog, Partition
from handlers.decider.router import Router
from handlers.decider.takeover import Found
from tests.simulation.planting import planted, swapped

EFFECTS_LOST = ("undelivered", "lost")
"""An effect that never arrives is ``undelivered``; an answer is one as well, and is missed as the
command that is ``lost``."""


@planted("chain", "time", workload="boots", faults=("zombie",))
def fence_dropped() -> Iterator[None]:
    """An owner that has lost its journal goes on writing, and its records count."""

    def committed(
        cluster: Cluster, process: str, journal: Journal, records: Sequence[Outgoing]
    ) -> Commit:
        try:
            fault = cluster.strike("commit", process)
            term = str(cluster.partition(journal.source).term)
            current = [
                msgspec.structs.replace(one, headers={**one.headers, TERM: term}) for one in records
            ]
            placed = cluster.check([memory_journal._in(journal.source, one) for one in current])
            first = cluster.write(placed)[0]
            cluster.finish(fault, "commit", process)
        except LogError as error:
            return error
        return first

    with swapped(memory_journal, "_committed", committed):
        yield


@planted("deadline", "in flight", workload="boots", faults=("zombie", "restart"))
def void_records_folded() -> Iterator[None]:
    """Records that an old owner wrote late are folded as if they counted. They do not follow the
    last one: nobody can own the partition any more, and what is under way there never ends."""

    def void(self: Partition, record: Record) -> bool:
        return False

    with swapped(Partition, "_void", void):
        yield


@planted("decided twice", "taken twice", workload="boots", faults=("restart",))
def marks_not_carried() -> Iterator[None]:
    """A new owner does not find in the journal how far inputs were taken."""

    def marks_of(record: Record) -> Marks | None:
        return None

    with swapped(handlers.decider.partition, "marks_of", marks_of):
        yield


@planted("taken twice", workload="boots", faults=("unavailable",))
def taken_ignored() -> Iterator[None]:
    """A follow-up that is delivered twice is decided twice."""
    right = Draft._repeated

    def repeated(self: Draft, item: Input) -> Decided | None:
        return None if item.origin is not None else right(self, item)

    with swapped(Draft, "_repeated", repeated):
        yield


@planted("decided twice", "answered twice", workload="boots", faults=("duplicate",))
def remembered_ids_off() -> Iterator[None]:
    """A command that its sender wrote twice is decided twice."""
    right = Draft._repeated

    def repeated(self: Draft, item: Input) -> Decided | None:
        return right(self, item) if item.origin is not None else None

    with swapped(Draft, "_repeated", repeated):
        yield


@planted("chain", *EFFECTS_LOST, workload="boots", faults=("unavailable",), through_log=True)
def draft_taken_though_the_commit_failed() -> Iterator[None]:
    """What was decided is believed, whatever the log says. Where it is not there, the next fact
    follows nothing; where it is, what follows from it is delivered by nobody."""
    right = Decider._not_committed

    def not_committed(self: Decider, owned: Owned, draft: Draft, error: LogError) -> None:
        owned.partition.take(draft, owned.partition.offset)
        right(self, owned, draft, error)

    with swapped(Decider, "_not_committed", not_committed):
        yield


@planted("in flight", workload="boots", faults=("unavailable",))
def earlier_effects_dropped_after_an_unknown_outcome() -> Iterator[None]:
    """What was handed over in memory is forgotten with the batch that took it; its sender waits for
    ever to hear that it was taken."""

    def take_back(self: Router, owned: Owned) -> None:
        owned.queue.clear()
        owned.polled.clear()

    with swapped(Router, "take_back", take_back):
        yield


@planted(*EFFECTS_LOST, workload="boots", faults=("outage", "unavailable"), through_log=True)
def delivered_before_the_append() -> Iterator[None]:
    """The outbox counts an effect as delivered before the log has it."""

    def step(self: Outbox) -> bool:
        batch = self._batch()
        if not batch:
            return False
        self._sent(batch, [-1] * len(batch))
        records = [record for _, _, record in batch]
        for (_, effect, _), offset in zip(batch, self._log.append(records), strict=True):
            self._appended(effect.target, offset)
        return True

    with swapped(Outbox, "step", step):
        yield


@planted("deadline", workload="power", faults=("restart", "topics"))
def deadlines_forgotten_by_the_fold() -> Iterator[None]:
    """Deadlines are noted when decided, not when folded."""
    right = Partition.fold

    def fold(self: Partition, record: Record) -> None:
        right(self, record)
        self.deadlines._heap.clear()

    with swapped(Partition, "fold", fold):
        yield


@planted("unheard", workload="power", faults=("outage",))
def deadlines_before_reports() -> Iterator[None]:
    """A new owner ends what is overdue before it has read what hosts said about it."""

    def passes(self: Owned, now: int) -> int:
        return now

    with swapped(Owned, "passes", passes):
        yield


@planted("answered twice", "lost", workload="boots", faults=("restart",))
def deciding_before_the_fold_ends() -> Iterator[None]:
    """A new owner decides as soon as it has read something of its journal: it answers once more
    what it has not read, or names events that are still to come."""

    def fold(self: Ownership, records: Sequence[Record]) -> None:
        folded: dict[str, Owned] = {}
        for record in records:
            owned = self._reading.get(record.source)
            if owned is None:
                continue
            try:
                owned.partition.fold(record)
            except ForeignLog as error:
                self._ill(owned, error)
                continue
            if record.offset >= 20 or (owned.journal and record.offset >= owned.journal.term):
                del self._reading[owned.journal_key]
                folded[owned.partition.source] = owned
        if not self._reading:
            self._stop_reading()
        for owned in folded.values():
            self._find(owned)

    with swapped(Ownership, "_fold", fold):
        yield


@planted("marks", workload="boots", faults=("restart",))
def inputs_read_from_the_first() -> Iterator[None]:
    """A new owner reads its inputs from their beginning, and notes that as progress."""
    right = Decider._ready

    def ready(self: Decider, owned: Owned, found: Found) -> None:
        right(self, owned, found)
        for source in owned.sources:
            owned.polled[source[0]] = 0
            self._member.follow(source, 0)

    with swapped(Decider, "_ready", ready):
        yield


@planted("defect", workload="everything", faults=("too large",))
def batch_failed_whole() -> Iterator[None]:
    """Where the log refuses what one command led to, all that were decided with it fail."""

    def shrink(self: Decider, owned: Owned, draft: Draft) -> None:
        owned.refused.update((item.context.id, TRIES_MAX) for item in draft.inputs)

    with swapped(Decider, "_shrink", shrink):
        yield


@planted("deadline", "in flight", workload="power", faults=("retention",))
def holes_waited_out() -> Iterator[None]:
    """A decider waits for records that the log has dropped, and passes over what lies behind."""
    right = Intake._taker

    def taker(self: Intake, record: Record) -> Owned | None:
        owned = right(self, record)
        return owned if owned is not None and record.offset == owned.polled[record.topic] else None

    with swapped(Intake, "_taker", taker):
        yield
