"""All checks of a history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.chaos.history import effects, judged, reads, writes
from tests.chaos.history.entries import History
from tests.chaos.history.violation import Violation

CHECKS: tuple[Callable[[History], Iterator[Violation]], ...] = (
    *(writes.lost, writes.had_effect, writes.twice, writes.unasked, writes.order),
    *(judged.misjudged, judged.answers),
    *(reads.stale, reads.walks),
    *(effects.once, effects.boots, effects.left, effects.erased, effects.unsaid),
)


def violations(entries: Iterable[Any]) -> list[Violation]:
    """What is wrong with a history; nothing when all promises were kept."""
    history = History(entries)
    return [violation for check in CHECKS for violation in check(history)]
