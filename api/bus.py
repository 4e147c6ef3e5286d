"""How the API asks for something to be done: send a command, wait for the decision to show.

``send`` returns when the decision is made *and* the projections show it (read-your-writes);
when the projections lag longer than ``visible_timeout_s`` it returns all the same: the
command is accepted and will show.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from events.message import Command


class Actor(msgspec.Struct, frozen=True):
    """Who asks, in which request."""

    user_id: str
    project_id: str
    request_id: str
    traceparent: str = ""


class Refused(Exception):
    """The command was refused. ``status`` is the HTTP status, ``code`` the field's error code."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


class Unavailable(Exception):
    """No decision in time, or the log is away, or too much is queued: 503 with Retry-After.

    ``maybe_sent``: the command may be in the log, and be decided later.
    """

    def __init__(self, detail: str, retry_after_s: int = 1, *, maybe_sent: bool = True) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.maybe_sent = maybe_sent


class PartitionWaits(Unavailable):
    """The command's partition waits for its operator: nothing was sent, others may be served."""

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail, retry_after_s, maybe_sent=False)


class Bus(Protocol):
    """Sends commands. Thread-safe."""

    def send(self, command: Command, key: str, actor: Actor) -> None:
        """Returns when accepted (and visible). Raises ``Refused``, ``Unavailable`` or
        ``events.bounds.OutOfBounds``: no record can hold the command."""
