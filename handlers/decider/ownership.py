"""Ownership: which partitions this process decides, and how it comes to a term in each.

Membership of the group says whose a partition should be. Its owner begins a term, folds the
journal up to the beginning of that term, and only then decides; that fold is also what
follows a lost term or a commit of unknown outcome. Folding goes in slices between polls, so a
member stays one however long it takes.

A partition whose journal cannot be folded is set aside (``Phase.ILL``) and tried again now and
then. What a takeover asks of the log is asked beside the loop (``takeover``). So the others go on.
"""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import structlog

from events import topics
from events.log.contract import (
    Log,
    LogError,
    LogUnavailable,
    Reader,
    Record,
    TopicPartition,
)
from events.log.records import Codec
from handlers.decider.effects import Effects
from handlers.decider.owned import AGAIN_US, LONG_FOLD_US, Owned, Phase
from handlers.decider.partition import ForeignLog, Partition
from handlers.decider.snapshot import Snapshots
from handlers.decider.takeover import Asking, Begun, Ends, Found, begin, end_of, ends_of, find

SLICE_RECORDS = 2000
"""Records that are folded between two polls: less than a tenth of a second. Garbage is not looked
for meanwhile (38 us an event, 33 without, measured). After a full slice (of a load, too) its
objects are hidden from the garbage collector (``gc.freeze``): they stay, have no cycles, and
looking through a million of them stops the loop for half a second."""

SLICE_US = 100_000
"""For so long snapshots are loaded between two polls."""

AWAY_US = 3_000_000
"""Pause after a try that the log did not answer."""
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

    ``ready(owned, found)`` is called when a partition can decide; its ``undelivered`` is then to be
    delivered, and its inputs to be followed from its marks. It raises ``ForeignLog`` where that
    cannot be.
    """

    def __init__(
        self,
        log: Log,
        codec: Codec,
        snapshots: Snapshots,
        ready: Callable[[Owned, Found], None],
        clock: Callable[[], int],
        owner: str = "",
        asking: Asking | None = None,
    ) -> None:
        self._log = log
        self._codec = codec
        self._snapshots = snapshots
        self._ready = ready
        self._clock = clock
        self._asking = asking or Asking()
        self._owner = owner or f"{socket.gethostname()}/{os.getpid()}"
        self._ends_at = 0
        """When ends that are not known are asked for again."""
        self._told_at = 0
        """When it was last told how far folds are."""
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
        folding = bool(self._reading) or any(o.phase in under_way for o in self.owned.values())
        return folding or self._asking.answered

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
        for owned in list(self.owned.values()):
            if owned.phase in (Phase.WAITING, Phase.ILL) and owned.again_at <= now:
                owned.phase = Phase.BEGINNING
                question = partial(begin, self._log, self._codec, owned, self._owner, now)
                self._asking.ask(owned, question)
        self._learn_ends(now)
        self._take_answers()
        self._read()
        self._take_answers()
        self._look()
        self._take_answers()

    def _look(self) -> None:
        """Ask where the inputs of partitions end in which something is overdue."""
        now = self._clock()
        for owned in list(self.owned.values()):
            if owned.deciding and owned.wants_look(now):
                owned.looking = True
                self._asking.ask(owned, partial(ends_of, self._log, owned, now))

    def _take_answers(self) -> None:
        """Go on with the partitions that the log has answered for."""
        for owned, answer in self._asking.answers():
            if self.owned.get(owned.commands) is not owned:
                continue  # lost meanwhile: who owns it now begins another term
            if isinstance(answer, Ends):
                owned.looked(answer.at, answer.term_at, answer.ends)
            elif isinstance(answer, LogError):
                self._unanswered(owned, answer)
            elif isinstance(answer, Begun):
                self._begun(owned, answer)
            elif isinstance(answer, Found):
                self._begin_deciding(owned, answer)
            else:
                owned.hand_over.learn(answer)

    def _unanswered(self, owned: Owned, error: LogError) -> None:
        if owned.deciding:  # where its inputs end is asked for again
            if owned.looking:
                source = owned.partition.source
                logger.warning("ends_unknown", partition=source, reason=str(error))
            return owned.looked_in_vain(self._clock() + AGAIN_US)
        owned.looking = False
        if owned.reason != str(error):
            logger.warning("no_term", partition=owned.partition.source, reason=str(error))
        pause = AWAY_US if isinstance(error, LogUnavailable) else AGAIN_US
        owned.wait(Phase.WAITING, self._clock() + pause, str(error))

    def _learn_ends(self, now: int) -> None:
        """Ask where commands end of which that could not be learned."""
        if now >= self._ends_at:
            self._ends_at = now + AWAY_US
            for owned in self.owned.values():
                if owned.deciding and owned.hand_over.start is None:
                    number = owned.hand_over.losses
                    self._asking.ask(owned, partial(end_of, self._log, owned, number))

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

    def _begun(self, owned: Owned, begun: Begun) -> None:
        owned.journal, owned.ends, owned.term_at = begun.journal, dict(begun.ends), begun.at
        if begun.journal.term < owned.partition.offset:
            self._fold_from_first(owned)
            logger.warning("snapshot_dropped", reason="it is ahead of the log")
        owned.folds_since = self._clock()
        owned.phase = Phase.FOLDING

    # ------------------------------------------------------------ folding

    def _read(self) -> None:
        """Read on in the journals whose term has begun; one that begins later is read together
        with those that are being read, however long that takes."""
        waiting = [
            owned
            for owned in self.owned.values()
            if owned.phase is Phase.FOLDING and owned.journal_key not in self._reading
        ]
        if waiting:
            reading = {o.journal_key: o for o in [*self._reading.values(), *waiting]}
            self._stop_reading()
            start = {key: owned.partition.reads_from for key, owned in reading.items()}
            self._reader = self._log.reader(start)
            self._reading = reading
        if self._reader is not None:
            records = self._reader.poll(0.2, SLICE_RECORDS)
            with _uncollected():
                self._fold(records)
            self._tell_progress()
            if len(records) == SLICE_RECORDS:
                gc.freeze()

    def _tell_progress(self) -> None:
        now = self._clock()
        if now >= self._told_at + LONG_FOLD_US:
            self._told_at = now
            for owned in self._reading.values():
                if progress := owned.progress(now):
                    logger.info("folding", partition=owned.partition.source, progress=progress)

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
            self._find(owned)

    def _find(self, owned: Owned) -> None:
        """It is folded up to its term: ask for what lies beside its journal."""
        owned.phase = Phase.FINDING
        handing = (Phase.FINDING, Phase.DECIDING)
        receivers = [o.commands for o in self.owned.values() if o.phase in handing]
        self._asking.ask(owned, partial(find, self._log, owned, receivers))

    def _begin_deciding(self, owned: Owned, found: Found) -> None:
        owned.gone.update({topic: owned.ends[topic] for topic in found.gone})
        try:
            self._ready(owned, found)
        except ForeignLog as error:
            self._set_aside(owned, error, ILL_US)
            return
        owned.phase = Phase.DECIDING
        owned.from_first = False
        owned.reason = ""

    def _ill(self, owned: Owned, error: ForeignLog) -> None:
        """Set a partition aside. What is not folded from the first record on is, next: the snapshot
        that it began with may be of another log, and its file gone, dropped by another decider of
        this machine."""
        del self._reading[owned.journal_key]
        pause = ILL_US if owned.from_first else 0
        if not owned.from_first:
            self._fold_from_first(owned)
        self._set_aside(owned, error, pause)

    def _set_aside(self, owned: Owned, error: ForeignLog, pause_us: int) -> None:
        if owned.reason != str(error):
            logger.error("partition_ill", partition=owned.partition.source, reason=str(error))
        owned.wait(Phase.ILL, self._clock() + pause_us, str(error))

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

    def close(self) -> None:
        """Begin nothing more."""
        self.give_up()
        self._asking.close()

    def troubles(self) -> list[str]:
        """From any thread: return a sentence for each partition that cannot decide. Only of one
        that waits for help its name ends in a colon."""
        now, said = self._clock(), []
        for owned in list(self.owned.values()):
            name = f"{owned.partition.topic}/{owned.number}"
            if progress := owned.progress(now):
                said.append(f"{name} {progress}")
            else:
                said += [f"{name}: {reason}" for reason in owned.troubles()]
        return said

    def unfolded(self) -> int:
        """From any thread: return how many records are to be folded before all partitions can
        decide, as far as that is known."""
        return sum(owned.unfolded() for owned in list(self.owned.values()))
