"""The indexes of one partition's committed states, each made at its first use.

A fold of millions of events pays nothing for them: they are made when a decision first asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from commands.decision import INDEXES, Index
from events.whole import whole

logger = structlog.get_logger("decider")


class Indexes:
    """By name. ``states``: the committed states by aggregate and id, which the owner changes."""

    def __init__(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        self._states = states
        self._made: dict[str, Index] = {}
        self._of: dict[str, list[Index]] = {}

    @whole
    def get(self, name: str) -> Index:
        """The index of that name, up to date. Raises ``KeyError`` for an unknown one."""
        known = self._made.get(name)
        if known is None:
            aggregate, make = INDEXES[name]
            known = self._made[name] = make(self._states.get(aggregate, {}))
            self._of.setdefault(aggregate, []).append(known)
        return known

    def replace(self, aggregate: str, id: str, before: Any | None, after: Any | None) -> None:
        """Keep up with a state that was committed. None: it was not there, or is gone.

        Raises nothing, for the fact is committed: an index that cannot keep up is a defect. All
        are dropped then and made again at their next use, by a decision, which fails if that
        fails.
        """
        try:
            for index in self._of.get(aggregate, ()):
                index.replace(id, before, after)
        except Exception:
            logger.exception("indexes_dropped", aggregate=aggregate, id=id)
            self.forget()

    def forget(self) -> None:
        """Make all of them again at their next use: other states were loaded."""
        self._made.clear()
        self._of.clear()
