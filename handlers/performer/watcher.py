"""Who is told what a performer does."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Told what happens, for metrics. From any thread."""

    def work(self, kind: str, outcome: str, seconds: float) -> None:
        """A piece of work ended: done, failed, superseded or cancelled."""

    def pending(self, subjects: int) -> None:
        """How many subjects have work queued or under way."""

    def defect(self) -> None:
        """A call in one of the performer's threads raised what nobody foresaw."""


class Unwatched:
    """Counts nothing."""

    def work(self, kind: str, outcome: str, seconds: float) -> None:
        """Nothing."""

    def pending(self, subjects: int) -> None:
        """Nothing."""

    def defect(self) -> None:
        """Nothing."""
