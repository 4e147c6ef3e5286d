"""How long a thread waits for a client that sends or reads a body slowly.

Only the time that the thread spends waiting for the client counts, so a pause of our own (a
decision that takes long, a slow disk) is nobody's fault. Each byte that is moved allows
``1 / RATE_MIN`` seconds more, up to ``LEAD_S`` ahead: a client that moved much at first cannot drip
for hours afterwards. So a body of n bytes holds a thread for no more than
``GRACE_S + n / RATE_MIN`` seconds.
"""

from __future__ import annotations

RATE_MIN = 64 * 1024
"""Bytes a second; 100 GiB take 19 days at this rate."""
GRACE_S = 30.0
"""What a body may wait before anything came."""
LEAD_S = 60.0
"""The longest wait that is allowed to a client that was faster so far."""


class Pace:
    """The pace of one body, in one direction at a time."""

    def __init__(self) -> None:
        self._allowed_s = GRACE_S

    def kept(self, moved_bytes: int, waited_s: float) -> bool:
        """Count bytes that were moved, and how long they were waited for.

        Returns: whether the client is fast enough still.
        """
        self._allowed_s = min(self._allowed_s - waited_s + moved_bytes / RATE_MIN, LEAD_S)
        return self._allowed_s > 0
