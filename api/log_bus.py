"""The bus over a log: append the command, wait for its answer, wait until it shows.

Every wait has a limit and what is under way is bounded: beyond ``in_flight_max`` requests the
answer is 503 at once. A command whose answer does not come in time may still be decided: the
client is told 503 and asks again (with an Idempotency-Key, or by looking).

Nothing is opened before the first ``send`` (so it survives a fork made before), and each process
opens its own.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from typing import Protocol

import structlog

from api.bus import Actor, PartitionWaits, Refused, Unavailable
from api.log_appender import GroupAppender
from api.log_replies import Replies
from api.trace_context import valid_traceparent
from api.unseen import Unseen
from events import topics
from events.features import NotEnabled
from events.log.contract import Log, LogError, Outgoing, RecordTooLarge, partition_of
from events.log.records import Codec, headers
from events.message import Command, Context
from events.outcome import Reply

SOURCE = "/chronova/api"
DECISION_TIMEOUT_S = 15.0
VISIBLE_TIMEOUT_S = 2.0
IN_FLIGHT_MAX = 256
RETRY_AFTER_S = 2
NOT_ENABLED_RETRY_S = 10
"""For what needs a feature level: it comes when the last process is upgraded."""
WAITING_RETRY_S = 10
"""A partition that waits for help is mended by a person; its decider says so every ten seconds."""

logger = structlog.get_logger("bus")


class Waiter(Protocol):
    """What tells that a position shows; ``projections.waiting.PositionWaiter``."""

    def wait(self, topic: str, partition: int, position: int, timeout_s: float) -> bool:
        """Until the projection shows the position; False after ``timeout_s``."""

    def close(self) -> None:
        """Release everything."""


class Observer(Protocol):
    """Told of each command, for metrics and health. From any thread."""

    def decided(self, command: str, outcome: str, seconds: float) -> None:
        """It was answered (accepted, refused), or was not (undecided: no answer in time,
        unsent: it is in no log), ``seconds`` after it was asked."""

    def shown(self, command: str, seconds: float) -> None:
        """Its decision shows, or the wait for that has ended."""


class Unobserved:
    """Counts nothing."""

    def decided(self, command: str, outcome: str, seconds: float) -> None:
        """Nothing."""

    def shown(self, command: str, seconds: float) -> None:
        """Nothing."""


class LogBus:
    """``api.bus.Bus`` over ``log``. Thread-safe; ``close`` closes it and its ``waiter``.

    ``waits(domain, number)``: whether a partition is known to wait for help. ``unseen`` holds what
    was accepted and does not show yet.
    """

    def __init__(
        self,
        log: Log,
        waiter: Waiter,
        *,
        decision_timeout_s: float = DECISION_TIMEOUT_S,
        visible_timeout_s: float = VISIBLE_TIMEOUT_S,
        in_flight_max: int = IN_FLIGHT_MAX,
        codec: Codec | None = None,
        observer: Observer | None = None,
        waits: Callable[[str, int], bool] = lambda domain, number: False,
    ) -> None:
        self._log = log
        self._waiter = waiter
        self._observer = observer or Unobserved()
        self._waits = waits
        self.unseen = Unseen(lambda source, position: waiter.wait(*source, position, 0.0))
        self._decision_timeout_s = decision_timeout_s
        self._visible_timeout_s = visible_timeout_s
        self._codec = codec or Codec()
        self._places = threading.BoundedSemaphore(in_flight_max)
        self._appender = GroupAppender(log)
        self._opening = threading.Lock()
        self._replies: Replies | None = None
        self._pid = 0
        self._not_opened_at = float("-inf")
        self._closed = False

    def send(self, command: Command, key: str, actor: Actor) -> None:
        """See ``api.bus.Bus``. ``actor.request_id`` goes into every record that follows."""
        if not self._places.acquire(blocking=False):
            raise _not_sent("Too many requests are under way.")
        began = time.perf_counter()
        deadline = time.monotonic() + self._decision_timeout_s
        outcome, opened = "unsent", False
        try:
            replies = self._opened(deadline)
            opened = True
            reply = self._decided(replies, command, key, actor, deadline)
            outcome = "refused" if reply.status else "accepted"
        except Unavailable as error:
            outcome = "undecided" if error.maybe_sent else "unsent"
            raise
        except RecordTooLarge as error:
            raise Refused(413, "overLimit", "The request is larger than the log accepts.") from (
                error
            )
        except NotEnabled as error:
            raise Unavailable(str(error), NOT_ENABLED_RETRY_S) from error
        except LogError as error:
            logger.warning("log_away", request_id=actor.request_id, reason=str(error))
            raise Unavailable(
                "The log is not available.", RETRY_AFTER_S, maybe_sent=opened
            ) from error
        finally:
            self._places.release()
            elapsed = time.perf_counter() - began
            self._observer.decided(command.type_name, outcome, elapsed)
        if reply.status == 503:
            raise Unavailable(reply.detail, NOT_ENABLED_RETRY_S)
        if reply.status:
            raise Refused(reply.status, reply.code, reply.detail)
        self._shown(reply, actor, command.type_name)

    def close(self) -> None:
        """End the threads; what is under way ends with ``Unavailable``. Twice is fine."""
        with self._opening:
            self._closed = True
            replies, self._replies = self._replies, None
        if replies is not None and self._pid == os.getpid():
            replies.close()
        self._waiter.close()

    def _decided(
        self, replies: Replies, command: Command, key: str, actor: Actor, deadline: float
    ) -> Reply:
        self._refuse_if_waiting(command, key)
        context = Context(
            id=str(uuid.uuid4()),
            time=time.time_ns() // 1000,
            request_id=actor.request_id,
            user_id=actor.user_id,
            project_id=actor.project_id,
            traceparent=valid_traceparent(actor.traceparent),
            reply_to=str(replies.partition),
        )
        awaited = replies.expect(context.id)
        try:
            self._append(command, key, context, deadline)
            reply = awaited.wait(max(0.0, deadline - time.monotonic()))
        finally:
            replies.forget(context.id)
        if reply is None:
            logger.warning("undecided", request_id=actor.request_id, command=command.type_name)
            raise Unavailable("No decision was made in time.", RETRY_AFTER_S)
        return reply

    def _refuse_if_waiting(self, command: Command, key: str) -> None:
        """Nobody would answer, and the client is not told what is wrong after the longest wait."""
        domain = command.type_domain
        number = partition_of(key, self._log.partitions(topics.commands(domain)))
        if self._waits(domain, number):
            raise PartitionWaits(
                f"What decides about this ({domain}, partition {number}) waits for its operator.",
                WAITING_RETRY_S,
            )

    def _append(self, command: Command, key: str, context: Context, deadline: float) -> None:
        made = headers(context, command.type_name, SOURCE)
        value = self._codec.encode(command)
        size = len(value) + len(key) + sum(len(name) + len(text) for name, text in made.items())
        if size > self._log.record_bytes_max:
            raise RecordTooLarge(f"{command.type_name} takes {size} bytes")
        record = Outgoing(topics.commands(command.type_domain), key, value, made)
        self._appender.append(record, max(0.001, deadline - time.monotonic()))

    def _shown(self, reply: Reply, actor: Actor, command: str) -> None:
        if not reply.topic or not reply.position:
            return
        began = time.monotonic()
        visible = self._waiter.wait(
            reply.topic, reply.partition, reply.position, self._visible_timeout_s
        )
        self._observer.shown(command, time.monotonic() - began)
        if not visible:
            source = (reply.topic, reply.partition)
            self.unseen.note(actor.project_id or actor.user_id, source, reply.position)
            logger.warning(
                "not_visible_yet",
                request_id=actor.request_id,
                position=f"{reply.topic}/{reply.partition}:{reply.position}",
                waited_s=round(time.monotonic() - began, 3),
            )

    def _opened(self, deadline: float) -> Replies:
        """The reader of this process's answers. One thread opens it where there is none, which
        takes seconds while the log is away. The others wait until ``deadline`` at most, and fail
        when it fails."""
        asked = time.monotonic()
        if (replies := self._living()) is not None:
            return replies
        if not self._opening.acquire(timeout=max(0.0, deadline - asked)):
            raise _not_sent("The log is not available.")
        try:
            if self._closed:
                raise _not_sent("The API is shutting down.")
            if (replies := self._living()) is not None:
                return replies
            if self._not_opened_at > asked:
                raise _not_sent("The log is not available.")
            try:
                self._replies = Replies(self._log, self._codec)
            except LogError:
                self._not_opened_at = time.monotonic()
                raise
            self._pid = os.getpid()
            return self._replies
        finally:
            self._opening.release()

    def _living(self) -> Replies | None:
        replies = self._replies
        living = replies is not None and self._pid == os.getpid() and replies.alive
        return replies if living else None


def _not_sent(detail: str) -> Unavailable:
    return Unavailable(detail, RETRY_AFTER_S, maybe_sent=False)
