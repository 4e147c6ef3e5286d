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
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import structlog

from events.features import NotEnabled
from events.log.contract import (
    Log,
    LogError,
    Outgoing,
    RecordTooLarge,
    TopicPartition,
    Unstorable,
)
from events.log.records import Codec
from events.topics import REPLIES
from handlers.decider.delivered import Delivered
from handlers.decider.effects import Effect
from handlers.decider.receiver import (
    RECORDS_MAX,
    Journal,
    Queued,
    Receiver,
    Receivers,
    Sent,
    Way,
    count_down,
)
from handlers.performer.pool import DaemonPool

BYTES_MAX = 1 << 20
"""Of one append beside ``RECORDS_MAX``, unless a single record is larger."""

QUEUED_MAX = 20_000
"""Effects that wait, beyond which nothing more is decided."""

SEND_S = 5.0
APART_S, APART_THREADS = 3.0, 8
"""How long one receiver is waited for, and how many at once."""

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
        self._receivers = Receivers()
        self._delivered = Delivered()
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
                if receiver is not None and effect.target[0] == REPLIES and receiver.held_back:
                    continue  # who asked gives up before it comes
                self._delivered.open(journal, effect)
                self._receivers.add(journal, effect)
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
            return self._receivers.waits(journal, target)

    def reached(self, journal: Journal, offset: int, marked: int) -> None:
        """The journal is committed up to this offset, and its marks say that what follows from
        all up to ``marked`` was delivered."""
        with self._lock:
            self._delivered.reached(journal, offset, marked)

    def progress(self, journal: Journal) -> tuple[int, list[int]]:
        """Return up to which offset all effects are delivered, and which before are held back by
        receivers that cannot be reached."""
        with self._lock:
            return self._delivered.progress(journal, self._receivers.held(journal))

    def unmarked(self, journal: Journal) -> list[Effect]:
        """Return what by the journal's marks is not delivered, in order, for a snapshot.

        A log that is put back to an older moment may have lost what is delivered and not marked.
        """
        with self._lock:
            return self._delivered.unmarked(journal)

    def forget(self, journal: Journal) -> None:
        """The journal is another owner's now, who delivers what is left."""
        with self._lock:
            self._receivers.forget(journal)
            self._delivered.forget(journal)
            self._handed = {way: n for way, n in self._handed.items() if way[0] != journal}

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing more should be decided."""
        with self._lock:
            return self._receivers.moving > QUEUED_MAX

    def stuck(self) -> set[Journal]:
        """Return the journals of which so much waits for a receiver that cannot be reached that
        nothing more should be decided in their partitions."""
        with self._lock:
            return self._receivers.stuck()

    def troubles(self) -> list[str]:
        """Return a sentence for each receiver that cannot be reached."""
        with self._lock:
            return self._receivers.troubles()

    # -------------------------------------------------- from the relay

    def run(self) -> None:
        """Deliver until ``close``, then what is left, once."""
        while True:
            with self._lock:
                while not self._closed and self._receivers.wait_s(self._clock()) > 0:
                    self._filled.wait(min(1.0, self._receivers.wait_s(self._clock())))
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
        for receiver, own in apart:
            if self._pool is None:
                self._send_apart(receiver, own)
            else:
                self._pool.submit(self._send_beside, receiver, own)
        batch = self._batch()
        if batch:
            try:
                self._sent(batch, self._log.append([record for _, _, record in batch], SEND_S))
            except LogError:
                with self._lock:
                    self._receivers.set_apart({effect.target for _, effect, _ in batch})
        return bool(batch or apart)

    def _batch(self) -> list[Sent]:
        """The next effects of all receivers that can be reached; they stay in their queues."""
        batch: list[Sent] = []
        size = 0
        with self._lock:
            heads = [list(islice(r.queue, RECORDS_MAX)) for r in self._receivers.together()]
        for queued in heads:
            for one in self._records(queued):
                value = len(one[2].value)
                if batch and (size + value > BYTES_MAX or len(batch) >= RECORDS_MAX):
                    return batch
                size += value
                batch.append(one)
        return batch

    def _due_apart(self) -> list[tuple[Receiver, list[Queued]]]:
        """The receivers that are to be tried, each with what it is sent; nothing else is sent to it
        meanwhile."""
        with self._lock:
            due = self._receivers.due_apart(self._clock())
            return [
                (receiver, list(islice(receiver.queue, receiver.records_max))) for receiver in due
            ]

    def _send_beside(self, receiver: Receiver, queued: list[Queued]) -> None:
        try:
            self._send_apart(receiver, queued)
        except BaseException as error:  # noqa: BLE001 - raised again by the relay
            self._defect = error

    def _send_apart(self, receiver: Receiver, queued: list[Queued]) -> None:
        own: list[Sent] = []
        try:
            own += self._records(queued)
            if own:
                self._sent(own, self._log.append([record for _, _, record in own], APART_S))
        except (RecordTooLarge, Unstorable) as error:
            if len(own) == 1:
                self._give_up_one(*own[0][:2], error)
            else:
                self._refused(receiver.target, error)
        except LogError as error:
            self._refused(receiver.target, error)
        finally:
            with self._lock:
                self._receivers.sent(receiver)
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
        """The record of an effect. One that cannot be made is given up; one whose type is not
        enabled waits."""
        try:
            return effect.record(self._codec)
        except NotEnabled as error:
            self._refused(effect.target, error)
        except Exception as error:  # noqa: BLE001 - a defect, told there
            self._give_up_one(journal, effect, error)
        return None

    def _give_up_one(self, journal: Journal, effect: Effect, error: Exception) -> None:
        """One that cannot be written, whoever tries, is a defect: if it is the next, it is given
        up. The deadline of what it was for ends that."""
        with self._lock:
            if not self._receivers.is_next(effect):
                return
            self._receivers.take_next(effect.target)
            self._delivered.done(journal, effect)
        logger.error(
            "delivery_given_up",
            target=f"{effect.target[0]}/{effect.target[1]}",
            records=1,
            effect=effect.message.type_name,
            id=effect.context.id,
            request_id=effect.context.request_id,
            exc_info=error,
        )

    def _refused(self, target: TopicPartition, error: LogError | NotEnabled) -> None:
        """It could not be sent."""
        now = self._clock()
        with self._lock:
            receiver = self._receivers.get(target)
            if receiver is None:
                return
            if receiver.failing_since is None:
                logger.error("delivery_held", target=f"{target[0]}/{target[1]}", reason=str(error))
            receiver.failed(now, error)
            if receiver.gives_up(now, error):
                dropped = self._receivers.drop(receiver)
                logger.error(
                    "delivery_given_up",
                    target=f"{target[0]}/{target[1]}",
                    records=len(dropped),
                    reason=str(error),
                )
                for journal, effect in dropped:
                    self._delivered.done(journal, effect)

    def _sent(self, batch: Sequence[Sent], offsets: Sequence[int]) -> None:
        for (_, effect, _), offset in zip(batch, offsets, strict=True):
            self._appended(effect.target, offset)
        with self._lock:
            for journal, effect, _ in batch:
                receiver = self._receivers.get(effect.target)
                if receiver is None or not self._receivers.is_next(effect):
                    continue  # forgotten meanwhile
                receiver.reached()
                self._receivers.take_next(effect.target)
                self._delivered.done(journal, effect)

    def _taken(self, journal: Journal, effect: Effect) -> None:
        """One that was handed over is so no more. Who calls holds the lock."""
        count_down(self._handed, (journal, effect.target))
        self._delivered.done(journal, effect)
