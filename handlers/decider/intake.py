"""The intake: puts what was polled into the queues of its partitions, if it can be true.

A follow-up names its journal and its fact's position in its id, and of each journal the highest one
taken is kept. So a record that names a fact of the future would make everything pass for taken that
follows until then. Whoever may write to ``<domain>.commands`` could send one.

Of a journal that this process owns the last position is known. Of others the log is asked where
they end: an event's position is below its offset. Nothing is asked for what comes in memory.

Where the log does not say it soon, because nobody leads that journal, the input topic is held at
that record: all before it is taken, and other topics and partitions go on. So it is held where the
partition's queue is full, because it cannot decide.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import NamedTuple

import structlog

from events import topics
from events.log.contract import (
    Log,
    LogError,
    Member,
    Polled,
    Record,
    TopicMismatch,
    TopicPartition,
)
from handlers.decider.inputs import Input, from_record
from handlers.decider.owned import Owned
from handlers.decider.ownership import AWAY_US, Ownership
from handlers.performer.pool import DaemonPool

ASK_THREADS = 4
QUEUED_MAX, QUEUED_BYTES = 1_000, 16 << 20
"""Inputs of one partition that wait in memory, and bytes of them, beyond either of which its topics
are followed no further (what one poll brings comes on top)."""

WAIT_S = 1.0
"""So long the loop waits for an answer; none is waited for that did not come the last time."""

logger = structlog.get_logger("decider")


class Held(NamedTuple):
    """An input topic of a partition that is followed no further: until a journal's end is known, or
    without a journal, until there is room in the queue."""

    owned: Owned
    topic: str
    offset: int
    journal: TopicPartition | None = None


class Intake:
    """Fills the queues of the partitions in ``ownership``. The loop's thread's.

    ``threaded``: the log is asked in threads of a pool.
    """

    def __init__(
        self,
        log: Log,
        ownership: Ownership,
        member: Member,
        clock: Callable[[], int],
        *,
        threaded: bool = False,
    ) -> None:
        self._log = log
        self._ownership = ownership
        self._member = member
        self._clock = clock
        self._pool = DaemonPool(ASK_THREADS, "intake") if threaded else None
        self._journals = {topics.events(domain) for domain in topics.DOMAINS}
        self._ends: dict[TopicPartition, int] = {}
        """Of journals, where they ended when that was asked last."""
        self._asked: set[TopicPartition] = set()
        """Journals that the log is asked about now."""
        self._again: dict[TopicPartition, int] = {}
        """Journals of which it did not say that, and when it may be asked again."""
        self._answers: queue.SimpleQueue[tuple[TopicPartition, int | Exception]] = (
            queue.SimpleQueue()
        )
        self._held: dict[TopicPartition, Held] = {}

    def queue(self, polled: Polled) -> None:
        """Queue records that partitions wait for."""
        self._held = {source: held for source, held in self._held.items() if self._lasts(held)}
        now = self._clock()
        wanted = [(o, r) for r in polled.records if (o := self._taker(r)) is not None]
        inputs = [from_record(record, owned.domain, now) for owned, record in wanted]
        said = self._ask({j for item in inputs if (j := self._unknown(item)) is not None})
        full = {owned for owned in {owned for owned, _ in wanted} if _full(owned)}
        for (owned, record), item in zip(wanted, inputs, strict=True):
            if record.source in self._held:
                continue
            journal = self._unknown(item)
            if journal is not None and journal not in said:
                self._hold(owned, record, journal)
                continue
            if owned in full:
                self._held[record.source] = Held(owned, record.topic, owned.polled[record.topic])
                continue
            owned.queue.append(item if self._can_be(item) else _strange(item))
            owned.polled[record.topic] = record.offset + 1
            owned.doubts.pop(record.topic, None)
        self._release()  # last: what was polled now lies behind what is polled once more

    @property
    def ready(self) -> bool:
        """Whether a topic that was held can be followed again."""
        return any(self._goes_on(held) for held in self._held.values())

    def close(self) -> None:
        """Ask nothing more."""
        if self._pool is not None:
            self._pool.close()

    def _taker(self, record: Record) -> Owned | None:
        """Who waits for a record, None where nobody does, or it was taken."""
        domain = record.topic.rpartition(".")[0]
        owned = self._ownership.owned.get((topics.commands(domain), record.partition))
        if owned is None or not owned.deciding or record.topic not in owned.polled:
            return None
        return owned if record.offset >= owned.polled[record.topic] else None

    def _last(self, journal: TopicPartition) -> int:
        """The highest position that a fact of this journal can have, as far as known."""
        domain = journal[0].removesuffix(".events")
        owned = self._ownership.owned.get((topics.commands(domain), journal[1]))
        if owned is not None and owned.deciding:
            return owned.partition.position
        return self._ends.get(journal, 0) - 1

    def _can_be(self, item: Input) -> bool:
        if item.origin is None:
            return True
        return item.origin[1][0] <= self._last(_journal(item.origin[0]))

    def _unknown(self, item: Input) -> TopicPartition | None:
        """The journal to be asked about, if what is known does not do."""
        if item.origin is None or self._can_be(item):
            return None
        journal = _journal(item.origin[0])
        return journal if journal[0] in self._journals else None

    def _ask(self, journals: set[TopicPartition]) -> set[TopicPartition]:
        """Ask where they end; those of which the log has said it, having been asked now."""
        now = self._clock()
        asked = {j for j in journals - self._asked if self._again.get(j, 0) <= now}
        awaited = asked - self._again.keys()
        for journal in asked:
            self._asked.add(journal)
            if self._pool is None:
                self._find_end(journal)
            else:
                self._pool.submit(self._find_end, journal)
        until = time.monotonic() + WAIT_S
        while awaited & self._asked and self._note(max(0.0, until - time.monotonic())):
            pass
        return asked - self._asked - self._again.keys()

    def _find_end(self, journal: TopicPartition) -> None:
        answer: int | Exception
        try:
            answer = self._log.ends([journal])[journal]
        except TopicMismatch:
            answer = 0  # there is no such partition
        except Exception as error:  # noqa: BLE001 - raised again in the loop
            answer = error
        self._answers.put((journal, answer))

    def _note(self, wait_s: float) -> bool:
        """Take an answer, if one comes in that time. Raises what is not the log's failure."""
        try:
            journal, answer = self._answers.get(timeout=wait_s) if wait_s else self._next()
        except queue.Empty:
            return False
        self._asked.discard(journal)
        if isinstance(answer, int):
            self._again.pop(journal, None)
            self._ends[journal] = max(answer, self._ends.get(journal, 0))
        elif isinstance(answer, LogError):
            self._again[journal] = self._clock() + AWAY_US
        else:
            raise answer
        return True

    def _next(self) -> tuple[TopicPartition, int | Exception]:
        return self._answers.get_nowait()

    def _hold(self, owned: Owned, record: Record, journal: TopicPartition) -> None:
        self._held[record.source] = Held(owned, record.topic, owned.polled[record.topic], journal)
        reason = (
            f"it is not known whether what is said to follow from {journal[0]}/{journal[1]} does:"
            " the log does not say where that ends"
        )
        if record.topic not in owned.doubts:
            logger.error("input_held", partition=owned.partition.source, reason=reason)
        owned.doubts[record.topic] = reason

    def _lasts(self, held: Held) -> bool:
        """Whether its partition has not begun once more, at its marks."""
        owned = held.owned
        same = self._ownership.owned.get(owned.commands) is owned and owned.deciding
        return same and owned.polled.get(held.topic) == held.offset

    def _release(self) -> None:
        """Go on with the topics that were held, where there is an answer or another is due."""
        while self._note(0.0):
            pass
        for source, held in tuple(self._held.items()):
            if self._goes_on(held):
                del self._held[source]
                self._member.follow(source, held.offset)

    def _goes_on(self, held: Held) -> bool:
        if held.journal is None:
            return not _full(held.owned)
        due = self._again.get(held.journal, 0) <= self._clock()
        return due and held.journal not in self._asked


def _full(owned: Owned) -> bool:
    """Whether so much waits in a partition's queue that no more is to be put there."""
    return len(owned.queue) >= QUEUED_MAX or owned.queued_bytes >= QUEUED_BYTES


def _journal(name: str) -> TopicPartition:
    topic, _, number = name.partition("/")
    return (topic, int(number))


def _strange(item: Input) -> Input:
    assert item.origin is not None and item.place is not None
    journal, (position, _) = item.origin
    item.strange = f"it names event {position} of {journal}, which has not happened"
    item.origin = None
    return item
