"""One partition of events as the observer has seen it so far."""

from __future__ import annotations

from collections.abc import Iterator

from events.journal import Marked
from events.log.records import GENESIS
from events.message import Message
from handlers.decider.marks import Marks

REFUSED = ("refused",)
"""Stands among what a command led to."""


class Line:
    """How far the partition is, and what each command led to there."""

    def __init__(self) -> None:
        self.position = 0
        self.hash = GENESIS
        self.at = 0
        self.marks = Marks()
        self.causes: dict[str, tuple[int, set[tuple[str, ...]]]] = {}

    def refuse(self, message: Message) -> Iterator[str]:
        """Take what a mark calls refused; yield a sentence for each that was decided before."""
        for refused in message.refused if isinstance(message, Marked) else ():
            _, facts = self.causes.get(refused.command_id, (0, set()))
            if facts:
                yield f"{refused.command_id} is refused after {facts}"
            self.causes[refused.command_id] = (self.position, {REFUSED})
