"""What a decider tells of itself, for metrics and in its log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import structlog

from handlers.decider.draft import Decided

logger = structlog.get_logger("decider")


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


def log_failures(decided: Sequence[Decided]) -> None:
    """Log each command that could not be decided, with its traceback."""
    for one in decided:
        if one.problem:
            logger.error(
                "command_over_budget" if one.outcome == "over_budget" else "command_failed",
                command=one.type_name,
                request_id=one.request_id,
                traceback=one.problem,
            )
