"""The outbox: delivers effects of committed facts, in order, at least once.

Each receiver has a queue of its own: one that does not exist or cannot take what is sent holds
back only what goes there, and is tried again. An owner's marks say up to where its journal's
effects were delivered (``progress``), so a later owner derives the rest once more.

``put``, ``hand_over`` and ``settle`` are the loop's thread's; ``step`` is that of the relay.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import msgspec
import structlog

from events.features import NotEnabled
from events.log.contract import Log, LogError, LogUnavailable, Outgoing, TopicPartition
from events.log.records import Codec
from events.topics import REPLIES
from handlers.decider.effects import Effect

RECORDS_MAX = 500
BYTES_MAX = 1 << 20
"""Of one append, unless a single record is larger."""

QUEUED_MAX = 20_000
"""Effects that wait, beyond which nothing more is decided."""

PAUSE_MIN_S, PAUSE_MAX_S = 0.1, 10.0
HELD_MAX_S = 3600.0
"""For so long a receiver that does not exist is waited for. The deadline of each operation is
shorter, so what was to be done there has been given up by then."""

logger = structlog.get_logger("decider")

Journal = tuple[str, int]
"""Topic and partition that an effect follows from."""


class Receiver(msgspec.Struct):
    """The queue of one partition that effects go to."""

    queue: deque[tuple[Journal, Effect]]
    again_at: float = 0.0
    pause_s: float = 0.0
    failing_since: float | None = None
    reason: str = ""

    def failed(self, now: float, reason: str) -> None:
        """It cannot take what is sent: wait for longer each time."""
        self.failing_since = self.failing_since or now
        self.pause_s = min(PAUSE_MAX_S, max(PAUSE_MIN_S, self.pause_s * 2))
        self.again_at = now + self.pause_s
        self.reason = reason

    def reached(self) -> None:
        """It took what was sent."""
        self.again_at = self.pause_s = 0.0
        self.failing_since = None


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
    ) -> None:
        self._log = log
        self._codec = codec
        self._appended = appended
        self._clock = clock
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._receivers: dict[TopicPartition, Receiver] = {}
        self._open: dict[Journal, dict[int, list[Effect]]] = {}
        """By journal, the effects of each offset that are not delivered."""
        self._unmarked: dict[Journal, list[Effect]] = {}
        """By journal, the delivered effects of which no committed mark says so yet."""
        self._ways: dict[tuple[Journal, TopicPartition], int] = {}
        """How many effects of a journal wait for a receiver."""
        self._handed: dict[tuple[Journal, TopicPartition], int] = {}
        """How many effects of a journal are handed over to a receiver, and not yet taken."""
        self._last: dict[Journal, int] = {}
        self._again_at = 0.0
        self._closed = False

    # --------------------------------------------------- from the loop

    def put(self, journal: Journal, effects: Iterable[Effect]) -> None:
        """Deliver these, whose facts are committed."""
        with self._lock:
            for effect in effects:
                self._opened(journal, effect)
                way = (journal, effect.target)
                self._ways[way] = self._ways.get(way, 0) + 1
                receiver = self._receivers.get(effect.target)
                if receiver is None:
                    receiver = self._receivers[effect.target] = Receiver(deque())
                receiver.queue.append((journal, effect))
            self._filled.notify()

    def put_again(self, journal: Journal, effect: Effect) -> None:
        """Deliver one that was handed over in vain."""
        with self._lock:
            self._taken(journal, effect)
            if effect in (unmarked := self._unmarked.get(journal, [])):
                unmarked.remove(effect)
        self.put(journal, [effect])

    def hand_over(self, journal: Journal, effect: Effect) -> None:
        """Count one that is handed over within the process; ``settle`` says that it was taken."""
        with self._lock:
            self._opened(journal, effect)
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
            self._last[journal] = offset
            left = [one for one in self._unmarked.pop(journal, ()) if one.offset > marked]
            if left:
                self._unmarked[journal] = left

    def progress(self, journal: Journal) -> tuple[int, list[int]]:
        """Return up to which offset all effects are delivered, and which before are held back by
        receivers that cannot be reached."""
        with self._lock:
            open = self._open.get(journal)
            last = self._last.get(journal, -1)
            if not open:
                return last, []
            failing = self._held(journal)
            moving = [offset for offset in open if offset not in failing]
            delivered = min(moving) - 1 if moving else last
            return delivered, sorted(offset for offset in failing if offset <= delivered)

    def unmarked(self, journal: Journal) -> list[Effect]:
        """Return what by the journal's marks is not delivered, in order, for a snapshot.

        A log that is put back to an older moment may have lost what is delivered and not marked.
        """
        with self._lock:
            open = self._open.get(journal, {})
            found = [
                *self._unmarked.get(journal, ()),
                *(e for effects in open.values() for e in effects),
            ]
            return sorted(found, key=lambda effect: effect.offset)

    def forget(self, journal: Journal) -> None:
        """The journal is another owner's now, who delivers what is left."""
        with self._lock:
            for receiver in self._receivers.values():
                if any(of == journal for of, _ in receiver.queue):
                    receiver.queue = deque(one for one in receiver.queue if one[0] != journal)
            self._open.pop(journal, None)
            self._unmarked.pop(journal, None)
            self._last.pop(journal, None)
            self._ways = {way: n for way, n in self._ways.items() if way[0] != journal}
            self._handed = {way: n for way, n in self._handed.items() if way[0] != journal}

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing more should be decided."""
        with self._lock:
            receivers = self._receivers.values()
            waiting = sum([len(r.queue) for r in receivers if r.failing_since is None])
            return waiting > QUEUED_MAX

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

    def close(self) -> None:
        """Let ``run`` return."""
        with self._lock:
            self._closed = True
            self._filled.notify()

    def step(self) -> bool:
        """Deliver one batch; whether there was one."""
        batch = self._batch()
        if not batch:
            return False
        try:
            self._sent(batch, self._log.append([record for _, _, record in batch]))
        except LogUnavailable as error:
            self._again_at = self._clock() + PAUSE_MIN_S
            logger.warning("delivery_waits", reason=str(error))
        except LogError as error:
            self._sort_out(batch, error)
        return True

    def _batch(self) -> list[tuple[Journal, Effect, Outgoing]]:
        """The next effects of all receivers that can be reached; they stay in their queues."""
        batch: list[tuple[Journal, Effect, Outgoing]] = []
        size, now = 0, self._clock()
        with self._lock:
            if self._again_at > now:
                return []
            heads = [
                list(islice(receiver.queue, RECORDS_MAX if receiver.failing_since is None else 1))
                for receiver in self._receivers.values()
                if receiver.queue and receiver.again_at <= now
            ]
        for queued in heads:
            for journal, effect in queued:
                record = self._record(journal, effect)
                if record is None:
                    break  # the ones behind it wait for the next batch
                if batch and (size + len(record.value) > BYTES_MAX or len(batch) >= RECORDS_MAX):
                    return batch
                size += len(record.value)
                batch.append((journal, effect, record))
        return batch

    def _record(self, journal: Journal, effect: Effect) -> Outgoing | None:
        """The record of an effect. One that cannot be written is a defect: it is given up, and
        the deadline of what it was for ends that. One whose type is not enabled waits."""
        try:
            return effect.record(self._codec)
        except NotEnabled as error:
            self._refused(effect.target, LogError(str(error)))
            return None
        except Exception:
            logger.exception("delivery_given_up", effect=effect.message.type_name)
        with self._lock:
            receiver = self._receivers.get(effect.target)
            if receiver is not None and receiver.queue and receiver.queue[0][1] is effect:
                receiver.queue.popleft()
                self._gone(journal, effect)
        return None

    def _sort_out(self, batch: Sequence[tuple[Journal, Effect, Outgoing]], error: LogError) -> None:
        """Some of a batch could not be taken: send to each receiver by itself."""
        targets = list(dict.fromkeys(effect.target for _, effect, _ in batch))
        for target in targets:
            own = [one for one in batch if one[1].target == target]
            if len(targets) > 1:
                try:
                    self._sent(own, self._log.append([record for _, _, record in own]))
                    continue
                except LogError as own_error:
                    error = own_error
            self._refused(target, error)

    def _refused(self, target: TopicPartition, error: LogError) -> None:
        now = self._clock()
        with self._lock:
            receiver = self._receivers.get(target)
            if receiver is None:
                return
            if receiver.failing_since is None:
                logger.error("delivery_held", target=f"{target[0]}/{target[1]}", reason=str(error))
            receiver.failed(now, str(error))
            # Answers wait for nobody: who asked has long given up when the way is there again.
            if target[0] == REPLIES or now - (receiver.failing_since or now) > HELD_MAX_S:
                self._give_up(target, receiver)

    def _give_up(self, target: TopicPartition, receiver: Receiver) -> None:
        logger.error("delivery_given_up", target=target[0], records=len(receiver.queue))
        for journal, effect in receiver.queue:
            self._gone(journal, effect)
        del self._receivers[target]

    def _sent(
        self, batch: Sequence[tuple[Journal, Effect, Outgoing]], offsets: Sequence[int]
    ) -> None:
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

    def _opened(self, journal: Journal, effect: Effect) -> None:
        self._open.setdefault(journal, {}).setdefault(effect.offset, []).append(effect)

    def _gone(self, journal: Journal, effect: Effect) -> None:
        way = (journal, effect.target)
        left = self._ways.get(way, 0) - 1
        if left > 0:
            self._ways[way] = left
        else:
            self._ways.pop(way, None)
        self._done(journal, effect)

    def _taken(self, journal: Journal, effect: Effect) -> None:
        """One that was handed over is so no more."""
        way = (journal, effect.target)
        left = self._handed.get(way, 0) - 1
        if left > 0:
            self._handed[way] = left
        else:
            self._handed.pop(way, None)
        self._done(journal, effect)

    def _done(self, journal: Journal, effect: Effect) -> None:
        open = self._open.get(journal)
        effects = open.get(effect.offset) if open is not None else None
        if open is None or effects is None or effect not in effects:
            return
        effects.remove(effect)
        if not effects:
            del open[effect.offset]
        self._unmarked.setdefault(journal, []).append(effect)

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
        ready = [r.again_at for r in self._receivers.values() if r.queue]
        return max(min(ready), self._again_at) - now if ready else 1.0
