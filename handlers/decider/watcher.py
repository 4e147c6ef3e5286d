"""What a decider tells of itself, for metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from handlers.decider.draft import Decided


class Watcher(Protocol):
    """Told what happens, for metrics."""

    def batch(self, decided: Sequence[Decided], seconds: float) -> None:
        """A batch was committed."""

    def owns(self, partitions: int) -> None:
        """How many partitions this process owns now."""


class Unwatched:
    """Counts nothing."""

    def batch(self, decided: Sequence[Decided], seconds: float) -> None:
        """Nothing."""

    def owns(self, partitions: int) -> None:
        """Nothing."""
