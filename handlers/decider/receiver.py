"""The queues of the partitions that effects go to, and how each fares there."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from events.log.contract import LogUnavailable, Outgoing, TopicMismatch, TopicPartition
from events.topics import DISPATCHES, REPLIES
from handlers.decider.effects import Effect

PAUSE_MIN_S, PAUSE_MAX_S = 0.1, 10.0
AWAY_MAX_S = 2.0
"""Longest pause for one that is away: a try takes its time already, and few are away for long."""

RECORDS_MAX = 500
"""Of one append."""

HELD_BACK_MAX = 5_000
"""Effects of one journal that wait for a receiver that cannot be reached, beyond which nothing more
is decided in that partition. So many answers wait there for one sender; more are dropped."""

HOST_MISSING_MAX_S = 3600.0
"""For so long the topic of a host that does not exist is waited for. The deadline of each operation
is shorter, so what was to be done there has been given up by then."""
REPLIES_MAX_S = 60.0
"""For so long answers are kept for senders that are away: who asked has given up by then."""

Journal = tuple[str, int]
"""Topic and partition that an effect follows from."""

Way = tuple[Journal, TopicPartition]
"""From a journal to a receiver."""

Queued = tuple[Journal, Effect]

Sent = tuple[Journal, Effect, Outgoing]


class Receiver(msgspec.Struct):
    """The effects that wait for a partition, in order."""

    target: TopicPartition
    queue: deque[Queued]
    again_at: float = 0.0
    pause_s: float = 0.0
    failing_since: float | None = None
    missing_since: float | None = None
    """Since when the log says that there is no such topic."""
    reason: str = ""
    apart: bool = False
    """Whether it is sent to by itself, because an append that it took part in has failed."""
    sending: bool = False
    """Whether such an append is under way."""

    def tried_at(self, now: float) -> bool:
        """Return whether it is to be sent to by itself now."""
        return bool(self.queue) and self.apart and not self.sending and self.again_at <= now

    @property
    def records_max(self) -> int:
        """How many records it is sent at once: one for a try."""
        return RECORDS_MAX if self.failing_since is None else 1

    @property
    def held_back(self) -> bool:
        """Whether it cannot be reached and much waits for it."""
        return self.failing_since is not None and len(self.queue) >= HELD_BACK_MAX

    def failed(self, now: float, error: Exception) -> None:
        """It cannot take what is sent: wait for longer each time."""
        pause_max_s = AWAY_MAX_S if isinstance(error, LogUnavailable) else PAUSE_MAX_S
        self.apart = True
        self.failing_since = now if self.failing_since is None else self.failing_since
        if isinstance(error, TopicMismatch) and self.missing_since is None:
            self.missing_since = now
        self.pause_s = min(pause_max_s, max(PAUSE_MIN_S, self.pause_s * 2))
        self.again_at = now + self.pause_s
        self.reason = str(error)

    def gives_up(self, now: float, error: Exception) -> bool:
        """Return whether nobody waits for what was to be sent there any more.

        That is so of answers, and of work for a host that does not exist. Commands are waited for
        however long, whatever the log says: what releases room there is said by nobody else.
        """
        topic = self.target[0]
        if topic == REPLIES:
            away_s = now - (self.failing_since or now)
            return not isinstance(error, LogUnavailable) or away_s > REPLIES_MAX_S
        if topic.startswith(DISPATCHES) and isinstance(error, TopicMismatch):
            return now - (self.missing_since or now) > HOST_MISSING_MAX_S
        return False

    def reached(self) -> None:
        """It took what was sent."""
        self.again_at = self.pause_s = 0.0
        self.failing_since = self.missing_since = None
        self.apart = False


class Receivers:
    """All that an outbox has something for. Who calls holds its lock."""

    def __init__(self) -> None:
        self._all: dict[TopicPartition, Receiver] = {}
        self._ways: dict[Way, int] = {}
        """How many effects of a journal wait for a receiver."""

    def get(self, target: TopicPartition) -> Receiver | None:
        """Return the receiver, None when nothing waits for it."""
        return self._all.get(target)

    def add(self, journal: Journal, effect: Effect) -> None:
        """Put an effect at the end of its receiver's queue."""
        receiver = self._all.get(effect.target)
        if receiver is None:
            receiver = self._all[effect.target] = Receiver(effect.target, deque())
        receiver.queue.append((journal, effect))
        way = (journal, effect.target)
        self._ways[way] = self._ways.get(way, 0) + 1

    def is_next(self, effect: Effect) -> bool:
        """Return whether an effect is the first that waits for its receiver."""
        receiver = self._all.get(effect.target)
        return receiver is not None and bool(receiver.queue) and receiver.queue[0][1] is effect

    def take_next(self, target: TopicPartition) -> None:
        """Take the first that waits for a receiver out of its queue."""
        receiver = self._all[target]
        journal, _ = receiver.queue.popleft()
        count_down(self._ways, (journal, target))
        self._drop_if_done(receiver)

    def drop(self, receiver: Receiver) -> list[Queued]:
        """Take away all that waits for a receiver, and return it."""
        dropped = list(receiver.queue)
        receiver.queue.clear()
        for journal, effect in dropped:
            count_down(self._ways, (journal, effect.target))
        self._drop_if_done(receiver)
        return dropped

    def sent(self, receiver: Receiver) -> None:
        """No append to it by itself is under way any more."""
        receiver.sending = False
        self._drop_if_done(receiver)

    def forget(self, journal: Journal) -> None:
        """Take away what follows from a journal."""
        self._ways = {way: n for way, n in self._ways.items() if way[0] != journal}
        for receiver in list(self._all.values()):
            if any(of == journal for of, _ in receiver.queue):
                receiver.queue = deque(one for one in receiver.queue if one[0] != journal)
                self._drop_if_done(receiver)

    def _drop_if_done(self, receiver: Receiver) -> None:
        if not receiver.queue and not receiver.sending:
            self._all.pop(receiver.target, None)

    def set_apart(self, targets: Iterable[TopicPartition]) -> None:
        """An append to all of these has failed, be it for one of them."""
        for target in targets:
            if (receiver := self._all.get(target)) is not None:
                receiver.apart = True

    def together(self) -> list[Receiver]:
        """Return those that are sent to in one append."""
        return [receiver for receiver in self._all.values() if not receiver.apart]

    def due_apart(self, now: float) -> list[Receiver]:
        """Return those that are to be sent to by themselves now, each as being sent to."""
        due = [receiver for receiver in self._all.values() if receiver.tried_at(now)]
        for receiver in due:
            receiver.sending = True
        return due

    def wait_s(self, now: float) -> float:
        """Return for how long there is nothing to send."""
        ready = [r.again_at for r in self._all.values() if r.queue and not r.sending]
        return min(ready) - now if ready else 1.0

    def waits(self, journal: Journal, target: TopicPartition) -> bool:
        """Return whether something from this journal waits for ``target``."""
        return self._ways.get((journal, target), 0) > 0

    @property
    def moving(self) -> int:
        """How many effects wait for those that can be reached."""
        return sum([len(r.queue) for r in self._all.values() if r.failing_since is None])

    def held(self, journal: Journal) -> set[int]:
        """Return the offsets of a journal of which something waits for those that cannot be."""
        return {
            effect.offset
            for receiver in self._all.values()
            if receiver.failing_since is not None
            for of, effect in receiver.queue
            if of == journal
        }

    def stuck(self) -> set[Journal]:
        """Return the journals of which ``HELD_BACK_MAX`` effects wait for such a one."""
        failing = {t for t, r in self._all.items() if t[0] != REPLIES and r.held_back}
        if not failing:
            return set()
        ways = self._ways.items()
        return {of for (of, to), n in ways if to in failing and n >= HELD_BACK_MAX}

    def troubles(self) -> list[str]:
        """Return a sentence for each that cannot be reached."""
        return [
            f"{target[0]}/{target[1]} cannot take {len(receiver.queue)} records: {receiver.reason}"
            for target, receiver in self._all.items()
            if receiver.failing_since is not None
        ]


def count_down(counts: dict[Way, int], way: Way) -> None:
    """Count one less; what is down to none is no longer there."""
    left = counts.pop(way, 0) - 1
    if left > 0:
        counts[way] = left
