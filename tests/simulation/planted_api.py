"""Bugs in the API's bus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from api.log_appender import GroupAppender, _Entry
from api.log_bus import LogBus
from api.log_replies import Awaited, Replies
from events.log.contract import LogUnavailable, Record
from events.message import Command, Context
from events.outcome import Reply
from tests.simulation.planting import planted, swapped


@planted("503", workload="boots", faults=())
def leadership_kept() -> Iterator[None]:
    """Who has written for all does not say to the next one that it is its turn."""

    def hand_over(self: GroupAppender, batch: Sequence[_Entry]) -> None:
        for entry in batch:
            entry.done.set()
        with self._lock:
            self._writing = bool(self._queue)

    with swapped(GroupAppender, "_hand_over", hand_over):
        yield


@planted("503", workload="boots", faults=())
def answers_expected_too_late() -> Iterator[None]:
    """A command is sent before its answer is expected: one that comes at once is passed over."""
    right = Replies.expect

    def expect(self: Replies, command_id: str) -> Awaited:
        awaited = Awaited()
        awaited.late = lambda: right(self, command_id)  # type: ignore[attr-defined]
        return awaited

    def wait(self: Awaited, timeout_s: float) -> Reply | None:
        late = getattr(self, "late", None)
        awaited = self if late is None else late()
        awaited._event.wait(timeout_s)
        reply: Reply | None = awaited._reply
        return reply

    with swapped(Replies, "expect", expect), swapped(Awaited, "wait", wait):
        yield


@planted("told", workload="quota", faults=())
def another_answer_taken() -> Iterator[None]:
    """An answer that comes is taken for that of whoever waits longest."""
    right = Replies._deliver

    def deliver(self: Replies, record: Record) -> None:
        with self._lock:
            waiting = next(iter(self._awaited), None)
            if waiting is not None and record.key != waiting:
                self._awaited[record.key] = self._awaited.pop(waiting)
        right(self, record)

    with swapped(Replies, "_deliver", deliver):
        yield


@planted("sent twice", workload="boots", faults=("unavailable",))
def sent_again_as_another() -> Iterator[None]:
    """A command whose append has an unknown outcome is sent once more, with another id."""
    right = LogBus._append

    def append(self: LogBus, command: Command, key: str, context: Context, deadline: float) -> None:
        try:
            right(self, command, key, context, deadline)
        except LogUnavailable:
            other = msgspec.structs.replace(context, id=f"{context.id}-again")
            right(self, command, key, other, deadline)

    with swapped(LogBus, "_append", append):
        yield
