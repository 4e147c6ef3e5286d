"""The queue of one partition that effects go to, and how it fares there."""

from __future__ import annotations

from collections import deque

import msgspec

from events.log.contract import Outgoing
from handlers.decider.effects import Effect

PAUSE_MIN_S, PAUSE_MAX_S = 0.1, 10.0
AWAY_MAX_S = 2.0
"""Longest pause for one that is away: a try takes its time already, and few are away for long."""

RECORDS_MAX = 500
"""Of one append."""

HELD_MAX_S = 3600.0
"""For so long a receiver that does not exist is waited for. The deadline of each operation is
shorter, so what was to be done there has been given up by then."""
REPLIES_MAX_S = 60.0
"""For so long answers are kept for senders that are away: who asked has given up by then."""

Journal = tuple[str, int]
"""Topic and partition that an effect follows from."""

Queued = tuple[Journal, Effect]

Sent = tuple[Journal, Effect, Outgoing]


class Receiver(msgspec.Struct):
    """The effects that wait for a partition, in order."""

    queue: deque[Queued]
    again_at: float = 0.0
    pause_s: float = 0.0
    failing_since: float | None = None
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

    def failed(self, now: float, reason: str, pause_max_s: float) -> None:
        """It cannot take what is sent: wait for longer each time."""
        self.apart = True
        self.failing_since = self.failing_since or now
        self.pause_s = min(pause_max_s, max(PAUSE_MIN_S, self.pause_s * 2))
        self.again_at = now + self.pause_s
        self.reason = reason

    def reached(self) -> None:
        """It took what was sent."""
        self.again_at = self.pause_s = 0.0
        self.failing_since = None
        self.apart = False
