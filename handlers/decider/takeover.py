"""What is asked of the log beside the loop: a term, what lies beside a journal, where inputs end.

A question about a partition whose leader is away is answered by nothing but a timeout. So the
questions of each partition are asked in a thread of a bounded pool, and those of one that hangs
hold back no other. The loop takes the answers (``Ownership``); only it changes an ``Owned``.

A partition may be lost while its question is under way: its answer is dropped then. A term that
begins late ends that of the owner of now, who begins another; nothing was decided in between twice.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, NamedTuple

import structlog

from events.journal import TermBegan
from events.log.contract import (
    Journal,
    Log,
    LogError,
    LogUnavailable,
    Outgoing,
    Record,
    TopicPartition,
)
from events.log.records import Codec, headers
from events.log.terms import TERM
from events.message import Context
from handlers.decider.hand_over import End
from handlers.decider.refusals import read_back
from handlers.performer.pool import DaemonPool

if TYPE_CHECKING:
    from handlers.decider.owned import Owned

THREADS = 16
"""Questions that may hang at once before others wait for them."""
TERM_S = 3.0
"""How long the beginning of a term may take."""

logger = structlog.get_logger("decider")


class Begun(NamedTuple):
    """A term has begun. ``ends``: by input topic, where it ended then."""

    journal: Journal
    at: int
    ends: Mapping[str, int]


class Found(NamedTuple):
    """What lies beside a journal."""

    gone: Set[str]
    """Input topics that the log has dropped what was untaken of: nothing may come for long."""
    refusals: dict[int, Record]
    """What the marks name that may not have been answered, by offset."""
    ends: Mapping[TopicPartition, int | None]
    """Where the commands end of the partitions that effects may be handed over to, None where
    the log did not say it."""


class Ends(NamedTuple):
    """Where a partition's inputs ended, at ``at`` or later, in the term that began at
    ``term_at``."""

    at: int
    term_at: int
    ends: Mapping[TopicPartition, int]


Answer = Begun | Found | End | Ends | LogError


class Asking:
    """Questions under way and their answers. ``threads`` 0: each is asked at once, in the caller's.

    ``told`` is called, in the thread of a question, when there is an answer. One thread's.
    """

    def __init__(self, threads: int = 0, told: Callable[[], None] = lambda: None) -> None:
        self._pool = DaemonPool(threads, "takeover") if threads else None
        self._told = told
        self._answers: queue.SimpleQueue[tuple[Owned, Answer | Exception]] = queue.SimpleQueue()

    @property
    def answered(self) -> bool:
        """Whether there is an answer."""
        return not self._answers.empty()

    def ask(self, owned: Owned, question: Callable[[], Answer]) -> None:
        """Ask the log about a partition."""
        if self._pool is None:
            self._ask(owned, question)
        else:
            self._pool.submit(self._ask, owned, question)

    def answers(self) -> list[tuple[Owned, Answer]]:
        """Return the answers that have come. Raises what was not the log's failure."""
        found: list[tuple[Owned, Answer]] = []
        while self.answered:
            owned, answer = self._answers.get()
            if not isinstance(answer, Answer):
                raise answer
            found.append((owned, answer))
        return found

    def close(self) -> None:
        """Ask nothing more; what hangs is left behind."""
        if self._pool is not None:
            self._pool.close()

    def _ask(self, owned: Owned, question: Callable[[], Answer]) -> None:
        answer: Answer | Exception
        try:
            answer = question()
        except Exception as error:  # noqa: BLE001 - raised again in the loop
            answer = error
        self._answers.put((owned, answer))
        self._told()


def begin(log: Log, codec: Codec, owned: Owned, owner: str, now: int) -> Begun:
    """Begin a term. Raises ``LogError``, and ``events.features.TooOld`` for a version that is too
    old: it may have slept while the level rose."""
    try:
        codec.levels.check()
    except LogUnavailable:
        raise
    except LogError as error:
        logger.warning("level_unknown", reason=str(error))
    partition = owned.partition
    began = TermBegan(at=max(now, partition.last_at), owner=owner)
    id = f"{partition.topic}/{owned.number}/term-of-{owner}"
    made = headers(Context(id=id, time=began.at), began.type_name, partition.source)
    made[TERM] = "-1"
    record = Outgoing(partition.topic, "term", codec.encode(began), made, owned.number)
    ends = {topic: end for (topic, _), end in log.ends(owned.sources).items()}
    return Begun(log.begin_term(owned.journal_key, record, TERM_S), began.at, ends)


def find(log: Log, owned: Owned, receivers: Sequence[TopicPartition]) -> Found:
    """Look beside a journal that is folded up to its term. Raises ``LogError``.

    ``receivers``: the partitions of commands of this process that its effects may be handed to.
    """
    folded = list(owned.partition.undelivered)
    refusals = read_back(log, owned.domain, owned.number, folded)
    return Found(_gone(log, owned), refusals, _ends(log, owned.commands, receivers))


def end_of(log: Log, owned: Owned, losses: int) -> End:
    """Ask where a partition's commands end. Raises ``LogError``."""
    return End(log.ends([owned.commands])[owned.commands], losses)


def ends_of(log: Log, owned: Owned, now: int) -> Ends:
    """Ask where a partition's inputs end. Raises ``LogError``."""
    return Ends(now, owned.term_at, log.ends(owned.sources))


def _gone(log: Log, owned: Owned) -> set[str]:
    gone = set()
    for source in owned.sources:
        topic, end = source[0], owned.ends[source[0]]
        if owned.partition.marks.inputs.get(topic, 0) < end:
            first = log.offset_at(source, 0)
            if first is None or first >= end:
                gone.add(topic)
    return gone


def _ends(
    log: Log, own: TopicPartition, receivers: Sequence[TopicPartition]
) -> dict[TopicPartition, int | None]:
    """Where commands end. Another partition's that does not answer is no reason to wait."""
    try:
        return dict(log.ends(list(receivers)))
    except LogError:
        if list(receivers) == [own]:
            raise
    return {**dict.fromkeys(receivers), **log.ends([own])}
