"""Ownership: which partitions this process decides, and how it comes to a term in each.

Membership of the group says whose a partition should be. Its owner begins a term, folds the
journal up to the beginning of that term, and only then decides; that fold is also what
follows a lost term or a commit of unknown outcome. Folding goes in slices between polls, so a
member stays one however long it takes.

A partition whose journal cannot be folded is set aside (``Phase.ILL``) and tried again now and
then; the others go on.
"""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import structlog

from events import topics
from events.journal import TermBegan
from events.log.contract import (
    Log,
    LogError,
    LogUnavailable,
    Outgoing,
    Reader,
    Record,
    TopicPartition,
)
from events.log.records import Codec, headers
from events.log.terms import TERM
from events.message import Context
from handlers.decider.effects import Effects
from handlers.decider.owned import AGAIN_US, Owned, Phase
from handlers.decider.partition import ForeignLog, Partition
from handlers.decider.snapshot import Snapshots

SLICE_RECORDS = 2000
"""Records that are folded between two polls: less than a tenth of a second. Garbage is not looked
for meanwhile (38 us an event, 33 without, measured). After a full slice (of a load, too) its
objects are hidden from the garbage collector (``gc.freeze``): they stay, have no cycles, and
looking through a million of them stops the loop for half a second."""

SLICE_US = 100_000
"""For so long snapshots are loaded between two polls."""

AWAY_US, TERM_S = 3_000_000, 3.0  # how long a beginning is waited for, then the pause
ILL_US = 30_000_000
"""Pause before a journal that could not be folded is read once more."""

logger = structlog.get_logger("decider")


@contextmanager
def _uncollected() -> Iterator[None]:
    """Let no garbage be collected meanwhile."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Ownership:
    """The partitions of this process. One thread's.

    ``ready(owned)`` is called when a partition can decide; its ``undelivered`` is then to be
    delivered, and its inputs to be followed from its marks. It may raise a ``LogError``, having
    changed nothing.
    """

    def __init__(
        self,
        log: Log,
        codec: Codec,
        snapshots: Snapshots,
        ready: Callable[[Owned], None],
        clock: Callable[[], int],
        owner: str = "",
    ) -> None:
        self._log = log
        self._codec = codec
        self._snapshots = snapshots
        self._ready = ready
        self._clock = clock
        self._owner = owner or f"{socket.gethostname()}/{os.getpid()}"
        self._reader: Reader | None = None
        self._reading: dict[TopicPartition, Owned] = {}
        self._loading: dict[TopicPartition, Iterator[Partition | None]] = {}
        """Of partitions whose snapshot is being loaded."""
        self.owned: dict[TopicPartition, Owned] = {}
        """By the commands' partition."""

    def gain(self, sources: Iterable[TopicPartition]) -> None:
        """The group has given these partitions of commands to this process."""
        for topic, number in sources:
            domain = topic.removesuffix(".commands")
            effects = Effects(topics.events(domain), number, self._log.partitions)
            partition = Partition(domain, number, self._codec)
            self.owned[topic, number] = Owned(domain, number, partition, effects)

    def lose(self, source: TopicPartition) -> Owned | None:
        """The group has taken a partition away."""
        owned = self.owned.pop(source, None)
        self._loading.pop(source, None)
        if owned is not None and self._reading.pop(owned.journal_key, None) is not None:
            self._stop_reading()
        return owned

    @property
    def busy(self) -> bool:
        """Whether something is to be folded now."""
        under_way = (Phase.NEW, Phase.FOLDING)
        return bool(self._reading) or any(o.phase in under_way for o in self.owned.values())

    def next_attempt(self) -> int | None:
        """Return when a pause is over (microseconds), None when none is under way."""
        pauses = [o.again_at for o in self.owned.values() if o.phase in (Phase.WAITING, Phase.ILL)]
        return min(pauses, default=None)

    def advance(self) -> None:
        """Begin the terms that are due, fold a slice, and look for what is overdue.

        Raises ``LogUnavailable``, and ``events.features.TooOld``: then the process must end.
        """
        self._load()
        now = self._clock()
        due = [
            owned
            for owned in self.owned.values()
            if owned.phase in (Phase.WAITING, Phase.ILL) and owned.again_at <= now
        ]
        if due:
            self._check_level()
        for owned in due:
            self._begin(owned)
        self._read()
        self._look()

    def _look(self) -> None:
        """Ask where the inputs of partitions end in which something is overdue."""
        now = self._clock()
        for owned in self.owned.values():
            if owned.deciding and owned.wants_look(now):
                try:
                    owned.looked(now, self._log.ends(owned.sources))
                except LogUnavailable:
                    raise
                except LogError as error:
                    source = owned.partition.source
                    logger.warning("ends_unknown", partition=source, reason=str(error))

    def _check_level(self) -> None:
        """Refuse to begin a term with a version that is too old: it may have slept while the level
        rose. Raises ``TooOld``, ``LogUnavailable``."""
        try:
            self._codec.levels.check()
        except LogUnavailable:
            raise
        except LogError as error:
            logger.warning("level_unknown", reason=str(error))

    def _load(self) -> None:
        """Load snapshots for a while; a large one takes seconds, and polls have to go on."""
        until = self._clock() + SLICE_US
        for source, owned in self.owned.items():
            if owned.phase is not Phase.NEW:
                continue
            if source not in self._loading:
                self._loading[source] = self._snapshots.loading(
                    owned.domain, owned.number, self._codec
                )
            for partition in self._loading[source]:
                if partition is not None:
                    self._loaded(source, owned, partition)
                if self._clock() > until:
                    gc.freeze()
                    return

    def _loaded(self, source: TopicPartition, owned: Owned, partition: Partition) -> None:
        del self._loading[source]
        owned.partition, owned.saved = partition, partition.offset
        owned.from_first = owned.saved == 0
        owned.phase = Phase.WAITING

    def _begin(self, owned: Owned) -> None:
        began = TermBegan(at=max(self._clock(), owned.partition.last_at), owner=self._owner)
        id = f"{owned.partition.topic}/{owned.number}/term-of-{self._owner}"
        made = headers(Context(id=id, time=began.at), began.type_name, owned.partition.source)
        made[TERM] = "-1"
        record = Outgoing(
            owned.partition.topic, "term", self._codec.encode(began), made, owned.number
        )
        try:
            owned.ends = {topic: e for (topic, _), e in self._log.ends(owned.sources).items()}
            owned.journal = self._log.begin_term(owned.journal_key, record, TERM_S)
        except LogUnavailable as error:
            # It may be this partition alone that is away: the others have their turn first.
            owned.wait(Phase.WAITING, self._clock() + AWAY_US, str(error))
            raise
        except LogError as error:
            owned.wait(Phase.WAITING, self._clock() + AGAIN_US, str(error))
            logger.error("no_term", partition=owned.partition.source, reason=str(error))
            return
        if owned.journal.term < owned.partition.offset:
            self._fold_from_first(owned)
            logger.warning("snapshot_dropped", reason="it is ahead of the log")
        owned.phase, owned.term_at = Phase.FOLDING, began.at

    # ------------------------------------------------------------ folding

    def _read(self) -> None:
        """Read on in the journals whose term has begun."""
        waiting = [
            owned
            for owned in self.owned.values()
            if owned.phase is Phase.FOLDING and owned.journal_key not in self._reading
        ]
        if waiting and not self._reading:
            reading = {owned.journal_key: owned for owned in waiting}
            start = {key: owned.partition.reads_from for key, owned in reading.items()}
            self._reader = self._log.reader(start)
            self._reading = reading
        if self._reader is not None:
            records = self._reader.poll(0.2, SLICE_RECORDS)
            with _uncollected():
                self._fold(records)
            if len(records) == SLICE_RECORDS:
                gc.freeze()

    def _fold(self, records: Sequence[Record]) -> None:
        folded = []
        for record in records:
            owned = self._reading.get(record.source)
            if owned is None:
                continue
            try:
                owned.partition.fold(record)
            except ForeignLog as error:
                self._ill(owned, error)
                continue
            if owned.journal is not None and record.offset >= owned.journal.term:
                del self._reading[owned.journal_key]
                folded.append(owned)
        if not self._reading:
            self._stop_reading()
        for owned in folded:
            self._begin_deciding(owned)

    def _begin_deciding(self, owned: Owned) -> None:
        """It is folded up to its term. Where the log is away just now, that is begun once more."""
        try:
            self._pass_what_is_gone(owned)
            self._ready(owned)
            owned.phase = Phase.DECIDING
            owned.from_first = False
            owned.reason = ""
        except LogError as error:
            owned.wait(Phase.WAITING, self._clock() + AGAIN_US, str(error))

    def _pass_what_is_gone(self, owned: Owned) -> None:
        """Wait for no input that the log has dropped: nothing may come after it for long."""
        for source in owned.sources:
            topic, end = source[0], owned.ends[source[0]]
            if owned.partition.marks.inputs.get(topic, 0) < end:
                first = self._log.offset_at(source, 0)
                if first is None or first >= end:
                    owned.gone[topic] = end

    def _ill(self, owned: Owned, error: ForeignLog) -> None:
        """Set a partition aside. What is not folded from the first record on is, next: the snapshot
        that it began with may be of another log, and its file gone, dropped by another decider of
        this machine."""
        del self._reading[owned.journal_key]
        if owned.reason != str(error):
            logger.error("partition_ill", partition=owned.partition.source, reason=str(error))
        pause = ILL_US if owned.from_first else 0
        if not owned.from_first:
            self._fold_from_first(owned)
        owned.wait(Phase.ILL, self._clock() + pause, str(error))

    def _fold_from_first(self, owned: Owned) -> None:
        self._snapshots.discard(owned.domain, owned.number)
        owned.partition = Partition(owned.domain, owned.number, self._codec)
        owned.saved = 0
        owned.from_first = True

    def _stop_reading(self) -> None:
        reader, self._reader = self._reader, None
        self._reading = {}
        if reader is not None:
            reader.close()

    def give_up(self) -> None:
        """The log is away: what was being folded is read on later."""
        for owned in self._reading.values():
            owned.wait(Phase.WAITING, self._clock(), "the log is away")
        self._stop_reading()

    def troubles(self) -> list[str]:
        """Return a sentence for each partition that cannot decide."""
        return [
            f"{owned.partition.topic}/{owned.number}: {owned.reason}"
            for owned in self.owned.values()
            if owned.phase is Phase.ILL or (owned.phase is Phase.WAITING and owned.reason)
        ]
