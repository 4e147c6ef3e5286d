"""A partition that a process decides: how far it is, and which deadlines may pass in it.

A deadline passes only when nothing lies in the log that could have met it: the runner asks where
the partition's inputs end once the deadline is overdue, and all input up to there comes first. At a
takeover hosts are given some time besides, to say what they did while nobody listened.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum

import msgspec
import structlog

from events import topics
from events.log.contract import Fenced, Journal, LogError, LogUnavailable, TopicPartition
from handlers.decider.effects import Effects
from handlers.decider.hand_over import HandOver
from handlers.decider.inputs import Input
from handlers.decider.marks import Waited
from handlers.decider.partition import Partition
from handlers.decider.refusals import NotKept

BATCH_MAX = 200
"""Commands in one append to a journal."""

AGAIN_US = 1_000_000
"""Pause after a lost term or a failure, before another is begun."""
PAUSE_MAX_US = 30_000_000
"""Longest pause of a partition whose appends the log does not answer."""

GRACE_US = 10_000_000
"""How long hosts have, once all input that lay in the log is taken, to say what they did
while nobody listened. Only then a deadline passes."""

LONG_FOLD_US = 5_000_000
"""A fold that takes longer is told of, as long as it lasts."""

LEVEL_MAX_US = 600_000_000
"""After so long deadlines pass although input of before is missing: the log may have dropped it
meanwhile, as too old."""


logger = structlog.get_logger("decider")


class Phase(Enum):
    """How far an owned partition is."""

    NEW = "its snapshot is yet to be loaded"
    WAITING = "its term begins when its pause is over"
    BEGINNING = "the log is asked for its term"
    FOLDING = "its term has begun, its journal is read"
    FINDING = "it is folded, the log is asked for what lies beside its journal"
    DECIDING = "it decides"
    ILL = "its journal cannot be folded by this version"


class Look(msgspec.Struct):
    """Where a partition's inputs ended at a moment."""

    at: int
    ends: dict[str, int]
    """By input topic."""
    last: Input | None
    """What was last in the queue, while it is there."""


class Owned:
    """A partition that the group has given to this process."""

    def __init__(self, domain: str, number: int, partition: Partition, effects: Effects) -> None:
        self.domain = domain
        self.number = number
        self.partition = partition
        self.effects = effects
        self.commands: TopicPartition = (topics.commands(domain), number)
        self.journal_key: TopicPartition = (topics.events(domain), number)
        self.sources: list[TopicPartition] = [(name, number) for name in topics.inputs(domain)]
        self.journal: Journal | None = None
        self.phase = Phase.NEW
        self.again_at = 0
        """When a waiting or ill one is tried (microseconds)."""
        self.reason = ""
        self.from_first = False
        """Whether all of its state was folded from the journal's first record on since it last
        turned out to be ill, or since it was gained without a snapshot."""
        self.queue: deque[Input] = deque()
        self.held, self.held_until = "", 0
        """Why the first input waits, and until when: it needs a feature level."""
        self.doubts: dict[str, str] = {}
        """By input topic, why it is followed no further."""
        self.batch_max = BATCH_MAX
        self.refused: dict[str, int] = {}
        """Commands that were alone in an append that failed, and how often."""
        self.lost_terms = 0
        """Terms that failed appends have ended since the last commit."""
        self.polled: dict[str, int] = {}
        """By input topic, the offset up to which records are in the queue."""
        self.passed: dict[str, int] = {}
        """By input topic, up to where inputs led to nothing and are not marked yet."""
        self.folds_since = 0
        """When the reading of its journal began, in this term."""
        self.ends: dict[str, int] = {}
        """By input topic, where it ended when the term began."""
        self.gone: dict[str, int] = {}
        """By input topic, up to where the log has dropped what was not taken."""
        self.look: Look | None = None
        """The last look at where the inputs end, in this term."""
        self.looking = False
        """Whether another look is under way."""
        self.look_again_at = 0
        """When the next may be, after one in vain (microseconds)."""
        self.hand_over = HandOver()
        self.term_at = 0
        """When its term began."""
        self.level_at: int | None = None
        """When all input of before the term had been taken; None: not yet."""
        self.counted_at = 0
        """Up to when the marks count how long was waited for reports, in this term."""
        self.saved = partition.offset

    @property
    def deciding(self) -> bool:
        """Whether it has a term and is folded."""
        return self.phase is Phase.DECIDING

    def has_input(self, now: int) -> bool:
        """Whether it has something to decide: inputs, or what is overdue."""
        if not self.deciding:
            return False
        if self.queue and self.held_until <= now:
            return True
        deadline = self.partition.deadlines.next()
        if deadline is None or deadline > now:
            return False
        return deadline <= self.passes(now) or self.waited(now) is not None

    @property
    def queued_bytes(self) -> int:
        """How large the records are that wait in its queue."""
        return sum([len(item.value) for item in self.queue])

    def unfolded(self) -> int:
        """Return how many records of its journal are to be folded before it can decide, as far as
        that is known."""
        journal = self.journal
        return 0 if journal is None else max(0, journal.term + 1 - self.partition.offset)

    def progress(self, now: int) -> str:
        """Return how far a fold is that takes long, in a sentence; empty where there is none."""
        left = self.unfolded()
        if not left or now - self.folds_since < LONG_FOLD_US:
            return ""
        done = self.partition.offset
        return f"is folded before it decides, {done:,} of {done + left:,} records so far"

    def troubles(self) -> list[str]:
        """Return why something of it waits for help."""
        if not self.deciding:
            return [self.reason] if self.reason else []
        return [*([self.held] if self.held else []), *dict(self.doubts).values()]

    def hold(self, item: Input, until: int, reason: str) -> None:
        """An input cannot be decided yet, so neither can those behind it."""
        if not self.held:
            logger.error("input_held", partition=self.partition.source, reason=reason)
        self.queue.appendleft(item)
        self.held, self.held_until = reason, until

    def listening(self, now: int) -> bool:
        """Whether all input of before the term was taken, and hosts had their time since."""
        level_at = self._level(now)
        grace = GRACE_US if self.domain in topics.REPORTING and self.ends else 0
        return level_at is not None and now >= level_at + grace

    def passes(self, now: int) -> int:
        """Return up to which moment deadlines may pass now, -1 for none: what lay in the log then
        comes before them, and what hosts could not send while nobody listened."""
        if self._level(now) is None:
            return -1
        if self.listening(now):
            return self.look.at if self.look is not None and self._done(self.look, now) else -1
        # Owners may change more often than that: what earlier ones waited counts as well, for
        # the deadlines that were overdue then.
        until, waited = self.partition.marks.waited or (-1, 0)
        return until if waited >= GRACE_US else -1

    def waited(self, now: int) -> Waited | None:
        """Return what is to be marked, once a second, while something overdue waits for reports:
        for how long owners have listened for them."""
        level_at, first = self._level(now), self.partition.deadlines.next()
        if level_at is None or first is None or first > now or self.listening(now):
            return None
        if self.passes(now) >= first:
            return None
        until, waited = self.partition.marks.waited or (-1, 0)
        if first > until:
            return (now, 0)
        listened = now - max(level_at, self.counted_at)
        # The log may have been away without ending the term: a longer pause proves nothing.
        return (until, waited + min(listened, 2 * AGAIN_US)) if listened >= AGAIN_US else None

    def waits(self, now: int) -> bool:
        """Whether what is overdue has to wait for hosts, for the log, or for input to come."""
        if self.looking or now < self.look_again_at or not self.listening(now):
            return True
        return self.look is not None and not self._done(self.look, now)

    def wants_look(self, now: int) -> bool:
        """Whether something is overdue that was not when the inputs' ends were last asked for."""
        first = self.partition.deadlines.next()
        if first is None or first > now or not self.listening(now):
            return False
        if self.looking or now < self.look_again_at:
            return False
        return self.look is None or (self.look.at < first and self._done(self.look, now))

    def looked(self, at: int, term_at: int, ends: Mapping[TopicPartition, int]) -> None:
        """Note where the inputs ended at that moment, unless another term has begun since."""
        self.looking = False
        if self.deciding and self.term_at == term_at:
            last = self.queue[-1] if self.queue else None
            self.look = Look(at, {topic: end for (topic, _), end in ends.items()}, last)

    def looked_in_vain(self, again_at: int) -> None:
        """The log did not say where the inputs end: it is asked again at that moment."""
        self.looking = False
        self.look_again_at = again_at

    def _done(self, look: Look, now: int) -> bool:
        """Whether all is taken that lay in the log, or was handed over, at the time of a look."""
        if now >= look.at + LEVEL_MAX_US:
            return True
        if any(self._taken(topic) < end for topic, end in look.ends.items()):
            return False
        if look.last is not None and not any(item is look.last for item in self.queue):
            look.last = None
        return look.last is None

    def _taken(self, topic: str) -> int:
        """Up to where a topic's records are taken, or are gone."""
        marked, passed = self.partition.marks.inputs.get(topic, 0), self.passed.get(topic, 0)
        return max(marked, passed, self.gone.get(topic, 0))

    def _level(self, now: int) -> int | None:
        """When all input of before the term had been taken, None while it has not."""
        if self.level_at is None and (not self._behind() or now >= self.term_at + LEVEL_MAX_US):
            self.level_at = now
        return self.level_at

    def _behind(self) -> bool:
        """Whether input that lay in the log when the term began may be untaken."""
        return bool(self.queue) or any(
            max(self._taken(t), self.polled.get(t, 0)) < end for t, end in self.ends.items()
        )

    def pause_after(self, error: LogError) -> int:
        """How long to wait after an append that ended the term (microseconds). Where the log does
        not answer, longer each time: the loop waits for each such append, and with it all other
        partitions."""
        if isinstance(error, Fenced):
            return AGAIN_US
        if not isinstance(error, LogUnavailable | NotKept):
            return 0
        self.lost_terms += 1
        if self.lost_terms == 1 and not isinstance(error, NotKept):
            return 0  # the log was away for a moment
        return min(PAUSE_MAX_US, AGAIN_US << min(self.lost_terms - 1, 5))

    def wait(self, phase: Phase, until: int, reason: str) -> None:
        """Its term is over: another begins at ``until`` at the earliest."""
        self.phase, self.again_at, self.reason = phase, until, reason
        self.journal = None
        self.held, self.held_until = "", 0
        self.level_at = None
        self.look = None
        self.counted_at = 0
        self.polled.clear()
        self.doubts.clear()
        self.passed.clear()
