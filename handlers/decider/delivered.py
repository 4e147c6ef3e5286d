"""How far the effects of journals are delivered, and what of that their marks say."""

from __future__ import annotations

from handlers.decider.effects import Effect
from handlers.decider.receiver import Journal

HELD_MAX = 500
"""Offsets that a mark names as held; after the next one nothing counts as delivered."""


class Delivered:
    """The account of an outbox. Who calls holds its lock."""

    def __init__(self) -> None:
        self._open: dict[Journal, dict[int, list[Effect]]] = {}
        """By journal, the effects of each offset that are not delivered."""
        self._unmarked: dict[Journal, list[Effect]] = {}
        """By journal, the delivered effects of which no committed mark says so yet."""
        self._last: dict[Journal, int] = {}

    def open(self, journal: Journal, effect: Effect) -> None:
        """Note an effect that is to be delivered."""
        self._open.setdefault(journal, {}).setdefault(effect.offset, []).append(effect)

    def done(self, journal: Journal, effect: Effect) -> None:
        """Note that an effect was delivered, or given up."""
        open = self._open.get(journal)
        effects = open.get(effect.offset) if open is not None else None
        if open is None or effects is None or effect not in effects:
            return
        effects.remove(effect)
        if not effects:
            del open[effect.offset]
        self._unmarked.setdefault(journal, []).append(effect)

    def take_back(self, journal: Journal, effect: Effect) -> None:
        """Forget that an effect was done: it is to be opened once more."""
        if effect in (unmarked := self._unmarked.get(journal, [])):
            unmarked.remove(effect)

    def reached(self, journal: Journal, offset: int, marked: int) -> None:
        """Note that a journal is committed up to ``offset``, and that its marks say that what
        follows from all up to ``marked`` was delivered."""
        self._last[journal] = offset
        left = [one for one in self._unmarked.pop(journal, ()) if one.offset > marked]
        if left:
            self._unmarked[journal] = left

    def progress(self, journal: Journal, failing: set[int]) -> tuple[int, list[int]]:
        """Return up to which offset all effects are delivered, and which before are held back;
        ``failing``: offsets whose receivers cannot be reached."""
        open, last = self._open.get(journal), self._last.get(journal, -1)
        if not open:
            return last, []
        moving = [offset for offset in open if offset not in failing]
        delivered = min(moving) - 1 if moving else last
        held = sorted(offset for offset in failing if offset <= delivered)
        if len(held) > HELD_MAX:
            delivered = held[HELD_MAX] - 1
        return delivered, held[:HELD_MAX]

    def unmarked(self, journal: Journal) -> list[Effect]:
        """Return what by the journal's marks is not delivered, in order."""
        open = self._open.get(journal, {})
        found = [
            *self._unmarked.get(journal, ()),
            *(effect for effects in open.values() for effect in effects),
        ]
        return sorted(found, key=lambda effect: effect.offset)

    def forget(self, journal: Journal) -> None:
        """Forget a journal that is another owner's now."""
        self._open.pop(journal, None)
        self._unmarked.pop(journal, None)
        self._last.pop(journal, None)
