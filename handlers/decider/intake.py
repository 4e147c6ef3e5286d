"""The intake: puts what was polled into the queues of its partitions, if it can be true.

A follow-up names its journal and its fact's position in its id, and of each journal the highest one
taken is kept. So a record that names a fact of the future would make everything pass for taken that
follows until then. Whoever may write to ``<domain>.commands`` could send one.

Of a journal that this process owns the last position is known. Of others the log is asked where
they end: an event's position is below its offset. Nothing is asked for what comes in memory.
"""

from __future__ import annotations

from collections.abc import Callable

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
from handlers.decider.ownership import Ownership


class Intake:
    """Fills the queues of the partitions in ``ownership``. The loop's thread's."""

    def __init__(
        self, log: Log, ownership: Ownership, member: Member, clock: Callable[[], int]
    ) -> None:
        self._log = log
        self._ownership = ownership
        self._member = member
        self._clock = clock
        self._journals = {topics.events(domain) for domain in topics.DOMAINS}
        self._ends: dict[TopicPartition, int] = {}
        """Of journals, where they ended when that was asked last."""

    def queue(self, polled: Polled) -> None:
        """Queue records that partitions wait for. Raises ``LogError``: nothing is queued then, and
        all is polled once more."""
        now = self._clock()
        wanted = [(o, r) for r in polled.records if (o := self._taker(r)) is not None]
        try:
            inputs = self._checked([from_record(r, o.domain, now) for o, r in wanted])
        except LogError:
            for _, record in reversed(wanted):
                self._member.follow(record.source, record.offset)
            raise
        for (owned, record), item in zip(wanted, inputs, strict=True):
            owned.queue.append(item)
            owned.polled[record.topic] = record.offset + 1

    def _taker(self, record: Record) -> Owned | None:
        """Who waits for a record, None where nobody does, or it was taken."""
        domain = record.topic.rpartition(".")[0]
        owned = self._ownership.owned.get((topics.commands(domain), record.partition))
        if owned is None or not owned.deciding or record.topic not in owned.polled:
            return None
        return owned if record.offset >= owned.polled[record.topic] else None

    def _checked(self, items: list[Input]) -> list[Input]:
        """The inputs; one whose fact cannot have happened is ``strange``: recorded as failed."""
        self._ask({journal for item in items if (journal := self._unknown(item)) is not None})
        return [item if self._held(item) else _strange(item) for item in items]

    def _last(self, journal: TopicPartition) -> int:
        """The highest position that a fact of this journal can have, as far as known."""
        domain = journal[0].removesuffix(".events")
        owned = self._ownership.owned.get((topics.commands(domain), journal[1]))
        if owned is not None and owned.deciding:
            return owned.partition.position
        return self._ends.get(journal, 0) - 1

    def _held(self, item: Input) -> bool:
        if item.origin is None:
            return True
        return item.origin[1][0] <= self._last(_journal(item.origin[0]))

    def _unknown(self, item: Input) -> TopicPartition | None:
        """The journal to be asked about, if what is known does not do."""
        if item.origin is None or self._held(item):
            return None
        journal = _journal(item.origin[0])
        return journal if journal[0] in self._journals else None

    def _ask(self, journals: set[TopicPartition]) -> None:
        for journal in journals:
            try:
                self._ends.update(self._log.ends([journal]))
            except TopicMismatch:
                continue  # there is no such partition


def _journal(name: str) -> TopicPartition:
    topic, _, number = name.partition("/")
    return (topic, int(number))


def _strange(item: Input) -> Input:
    assert item.origin is not None and item.place is not None
    journal, (position, _) = item.origin
    item.strange = f"it names event {position} of {journal}, which has not happened"
    item.origin = None
    return item
