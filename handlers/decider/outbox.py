"""The outbox: delivers effects of committed facts, in order, at least once.

Each receiver has a queue of its own: one that does not exist, is away, or cannot take what is sent
holds back only what goes there, and is tried again, apart from the others and in a thread of its
own. An owner's marks say up to where its journal's effects were delivered (``progress``), so a
later owner derives the rest once more.

``put``, ``hand_over`` and ``settle`` are the loop's thread's; ``step`` is that of the relay.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import structlog

from events.features import NotEnabled
from events.log.contract import Log, LogError, LogUnavailable, Outgoing, TopicPartition
from events.log.records import Codec
from events.topics import REPLIES
from handlers.decider.delivered import Delivered
from handlers.decider.effects import Effect
from handlers.decider.receiver import (
    AWAY_MAX_S,
    HELD_MAX_S,
    PAUSE_MAX_S,
    RECORDS_MAX,
    REPLIES_MAX_S,
    Journal,
    Queued,
    Receiver,
    Sent,
)
from handlers.performer.pool import DaemonPool

BYTES_MAX = 1 << 20
"""Of one append beside ``RECORDS_MAX``, unless a single record is larger."""

QUEUED_MAX = 20_000
"""Effects that wait, beyond which nothing more is decided."""

HELD_BACK_MAX = 5_000
"""Effects of one journal that wait for a receiver that cannot be reached, beyond which nothing more
is decided in that partition. So many answers wait there for one sender; more are dropped."""

SEND_S = 5.0
APART_S, APART_THREADS = 3.0, 8
"""How long one receiver is waited for, and how many at once."""

Way = tuple[Journal, TopicPartition]
"""From a journal to a receiver."""

logger = structlog.get_logger("decider")


class Outbox:
    """Effects on their way. ``appended(target, offset)`` is called for each record that the
    log has taken, from the relay's thread."""

    def __init__(
        self,
        log: Log,
        codec: Codec,
        *,
        appended: Callable[[TopicPartition, int], None],
        clock: Callable[[], float] = time.monotonic,
        threaded: bool = False,
    ) -> None:
        self._pool = DaemonPool(APART_THREADS, "apart") if threaded else None
        self._log = log
        self._codec = codec
        self._appended = appended
        self._clock = clock
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._receivers: dict[TopicPartition, Receiver] = {}
        self._delivered = Delivered()
        self._ways: dict[Way, int] = {}
        """How many effects of a journal wait for a receiver."""
        self._handed: dict[Way, int] = {}
        """How many effects of a journal are handed over to a receiver, and not yet taken."""
        self._closed = False
        self._defect: BaseException | None = None

    # --------------------------------------------------- from the loop

    def put(self, journal: Journal, effects: Iterable[Effect]) -> None:
        """Deliver these, whose facts are committed."""
        with self._lock:
            for effect in effects:
                receiver = self._receivers.get(effect.target)
                if receiver is None:
                    receiver = self._receivers[effect.target] = Receiver(deque())
                elif effect.target[0] == REPLIES and self._held_back(receiver):
                    continue  # who asked gives up before it comes
                self._delivered.open(journal, effect)
                way = (journal, effect.target)
                self._ways[way] = self._ways.get(way, 0) + 1
                receiver.queue.append((journal, effect))
            self._filled.notify()

    def put_again(self, journal: Journal, effect: Effect) -> None:
        """Deliver one that was handed over in vain."""
        with self._lock:
            self._taken(journal, effect)
            self._delivered.take_back(journal, effect)
        self.put(journal, [effect])

    def hand_over(self, journal: Journal, effect: Effect) -> None:
        """Count one that is handed over within the process; ``settle`` says that it was taken."""
        with self._lock:
            self._delivered.open(journal, effect)
            way = (journal, effect.target)
            self._handed[way] = self._handed.get(way, 0) + 1

    def settle(self, journal: Journal, effect: Effect) -> None:
        """One that was handed over has been taken, and that is committed."""
        with self._lock:
            self._taken(journal, effect)

    def handed(self, journal: Journal, target: TopicPartition) -> bool:
        """Whether something from this journal is handed over to ``target`` and not yet taken."""
        with self._lock:
            return (journal, target) in self._handed

    def waits(self, journal: Journal, target: TopicPartition) -> bool:
        """Whether something from this journal is still on its way to ``target``."""
        with self._lock:
            return self._ways.get((journal, target), 0) > 0

    def reached(self, journal: Journal, offset: int, marked: int) -> None:
        """The journal is committed up to this offset, and its marks say that what follows from
        all up to ``marked`` was delivered."""
        with self._lock:
            self._delivered.reached(journal, offset, marked)

    def progress(self, journal: Journal) -> tuple[int, list[int]]:
        """Return up to which offset all effects are delivered, and which before are held back by
        receivers that cannot be reached."""
        with self._lock:
            return self._delivered.progress(journal, self._held(journal))

    def unmarked(self, journal: Journal) -> list[Effect]:
        """Return what by the journal's marks is not delivered, in order, for a snapshot.

        A log that is put back to an older moment may have lost what is delivered and not marked.
        """
        with self._lock:
            return self._delivered.unmarked(journal)

    def forget(self, journal: Journal) -> None:
        """The journal is another owner's now, who delivers what is left."""
        with self._lock:
            for receiver in self._receivers.values():
                if any(of == journal for of, _ in receiver.queue):
                    receiver.queue = deque(one for one in receiver.queue if one[0] != journal)
            self._delivered.forget(journal)
            self._ways = {way: n for way, n in self._ways.items() if way[0] != journal}
            self._handed = {way: n for way, n in self._handed.items() if way[0] != journal}

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing more should be decided."""
        with self._lock:
            receivers = self._receivers.values()
            waiting = sum([len(r.queue) for r in receivers if r.failing_since is None])
            return waiting > QUEUED_MAX

    def stuck(self) -> set[Journal]:
        """Return the journals of which so much waits for a receiver that cannot be reached that
        nothing more should be decided in their partitions."""
        with self._lock:
            receivers = self._receivers.items()
            failing = {t for t, r in receivers if self._held_back(r) and t[0] != REPLIES}
            if not failing:
                return set()
            ways = self._ways.items()
            return {of for (of, to), n in ways if to in failing and n >= HELD_BACK_MAX}

    def troubles(self) -> list[str]:
        """Return a sentence for each receiver that cannot be reached."""
        with self._lock:
            return [
                f"{target[0]}/{target[1]} cannot take {len(receiver.queue)} records:"
                f" {receiver.reason}"
                for target, receiver in self._receivers.items()
                if receiver.failing_since is not None
            ]

    # -------------------------------------------------- from the relay

    def run(self) -> None:
        """Deliver until ``close``, then what is left, once."""
        while True:
            with self._lock:
                while not self._closed and self._wait_s() > 0:
                    self._filled.wait(min(1.0, self._wait_s()))
                if self._closed:
                    break
            self.step()
        self.step()
        if self._pool is not None:
            self._pool.close()

    def close(self) -> None:
        """Let ``run`` return."""
        with self._lock:
            self._closed = True
            self._filled.notify()

    def step(self) -> bool:
        """Deliver one batch, and to each receiver that has failed what it is to be tried with;
        whether there was anything. Raises what went wrong with one of those: a defect."""
        if self._defect is not None:
            raise self._defect
        apart = self._due_apart()
        for target, own in apart:
            if self._pool is None:
                self._send_apart(target, own)
            else:
                self._pool.submit(self._send_beside, target, own)
        batch = self._batch()
        if batch:
            try:
                self._sent(batch, self._log.append([record for _, _, record in batch], SEND_S))
            except LogError:
                self._set_apart({effect.target for _, effect, _ in batch})
        return bool(batch or apart)

    def _set_apart(self, targets: Iterable[TopicPartition]) -> None:
        """An append to all of these has failed, be it for one of them."""
        with self._lock:
            for target in targets:
                if (receiver := self._receivers.get(target)) is not None:
                    receiver.apart = True

    def _batch(self) -> list[Sent]:
        """The next effects of all receivers that can be reached; they stay in their queues."""
        batch: list[Sent] = []
        size = 0
        with self._lock:
            heads = [
                list(islice(receiver.queue, RECORDS_MAX))
                for receiver in self._receivers.values()
                if receiver.queue and not receiver.apart
            ]
        for queued in heads:
            for one in self._records(queued):
                value = len(one[2].value)
                if batch and (size + value > BYTES_MAX or len(batch) >= RECORDS_MAX):
                    return batch
                size += value
                batch.append(one)
        return batch

    def _due_apart(self) -> list[tuple[TopicPartition, list[Queued]]]:
        """The receivers that are to be tried, each with what it is sent; nothing else is sent to it
        meanwhile."""
        now = self._clock()
        with self._lock:
            due = [
                (target, receiver)
                for target, receiver in self._receivers.items()
                if receiver.tried_at(now)
            ]
            for _, receiver in due:
                receiver.sending = True
            return [(target, list(islice(r.queue, r.records_max))) for target, r in due]

    def _send_beside(self, target: TopicPartition, queued: list[Queued]) -> None:
        try:
            self._send_apart(target, queued)
        except BaseException as error:  # noqa: BLE001 - raised again by the relay
            self._defect = error

    def _send_apart(self, target: TopicPartition, queued: list[Queued]) -> None:
        try:
            own = list(self._records(queued))
            if own:
                self._sent(own, self._log.append([record for _, _, record in own], APART_S))
        except LogError as error:
            self._refused(target, error)
        finally:
            with self._lock:
                if (receiver := self._receivers.get(target)) is not None:
                    receiver.sending = False
                self._filled.notify()

    def _records(self, queued: Iterable[Queued]) -> Iterator[Sent]:
        """The records of effects, until one cannot be written: those behind it wait."""
        size = 0
        for journal, effect in queued:
            record = self._record(journal, effect)
            if record is None:
                return
            size += len(record.value)
            if size > BYTES_MAX and size > len(record.value):
                return
            yield journal, effect, record

    def _record(self, journal: Journal, effect: Effect) -> Outgoing | None:
        """The record of an effect. One that cannot be written is a defect: it is given up, and
        the deadline of what it was for ends that. One whose type is not enabled waits."""
        try:
            return effect.record(self._codec)
        except NotEnabled as error:
            self._refused(effect.target, error)
            return None
        except Exception:
            logger.exception("delivery_given_up", effect=effect.message.type_name)
        with self._lock:
            receiver = self._receivers.get(effect.target)
            if receiver is not None and receiver.queue and receiver.queue[0][1] is effect:
                receiver.queue.popleft()
                self._gone(journal, effect)
        return None

    def _refused(self, target: TopicPartition, error: LogError | NotEnabled) -> None:
        """It could not be sent. What is away, and what is not enabled yet, comes in the end."""
        now = self._clock()
        with self._lock:
            receiver = self._receivers.get(target)
            if receiver is None:
                return
            if receiver.failing_since is None:
                logger.error("delivery_held", target=f"{target[0]}/{target[1]}", reason=str(error))
            away = isinstance(error, LogUnavailable)
            receiver.failed(now, str(error), AWAY_MAX_S if away else PAUSE_MAX_S)
            failing_s = now - (receiver.failing_since or now)
            if target[0] == REPLIES:
                given_up = not away or failing_s > REPLIES_MAX_S
            else:
                given_up = failing_s > HELD_MAX_S and not (away or isinstance(error, NotEnabled))
            if given_up:
                self._give_up(target, receiver)

    def _give_up(self, target: TopicPartition, receiver: Receiver) -> None:
        logger.error("delivery_given_up", target=target[0], records=len(receiver.queue))
        for journal, effect in receiver.queue:
            self._gone(journal, effect)
        del self._receivers[target]

    def _sent(self, batch: Sequence[Sent], offsets: Sequence[int]) -> None:
        for (_, effect, _), offset in zip(batch, offsets, strict=True):
            self._appended(effect.target, offset)
        with self._lock:
            for journal, effect, _ in batch:
                receiver = self._receivers.get(effect.target)
                if receiver is None or not receiver.queue or receiver.queue[0][1] is not effect:
                    continue  # forgotten meanwhile
                receiver.queue.popleft()
                receiver.reached()
                self._gone(journal, effect)
                if not receiver.queue:
                    del self._receivers[effect.target]

    # ------------------------------------------------------ with the lock

    def _held_back(self, receiver: Receiver) -> bool:
        """Whether a receiver cannot be reached and much waits for it."""
        return receiver.failing_since is not None and len(receiver.queue) >= HELD_BACK_MAX

    def _gone(self, journal: Journal, effect: Effect) -> None:
        _count_down(self._ways, (journal, effect.target))
        self._delivered.done(journal, effect)

    def _taken(self, journal: Journal, effect: Effect) -> None:
        """One that was handed over is so no more."""
        _count_down(self._handed, (journal, effect.target))
        self._delivered.done(journal, effect)

    def _held(self, journal: Journal) -> set[int]:
        return {
            effect.offset
            for receiver in self._receivers.values()
            if receiver.failing_since is not None
            for of, effect in receiver.queue
            if of == journal
        }

    def _wait_s(self) -> float:
        """How long there is nothing to send."""
        now = self._clock()
        ready = [r.again_at for r in self._receivers.values() if r.queue and not r.sending]
        return min(ready) - now if ready else 1.0


def _count_down(counts: dict[Way, int], way: Way) -> None:
    """Count one less; what is down to none is no longer there."""
    left = counts.pop(way, 0) - 1
    if left > 0:
        counts[way] = left
