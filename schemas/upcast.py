"""Upcasters: what an old record's fields mean in today's terms.

Avro resolution first gives an old body today's shape (new fields get their defaults); then the
upcasters of that version give the fields their meaning. Pure, in this one place, used by
deciders and projections alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Fields = dict[str, Any]
Upcast = Callable[[Fields], Fields]

UPCASTERS: dict[tuple[str, int], Upcast] = {}
"""(message, version) → the step from that version's meaning to the next one's."""


def upcaster(message: str, version: int) -> Upcast:
    """All steps from ``version`` to today's meaning, in order."""
    steps = [
        step
        for (name, number), step in sorted(UPCASTERS.items(), key=lambda item: item[0])
        if name == message and number >= version
    ]

    def run(fields: Fields) -> Fields:
        for step in steps:
            fields = step(fields)
        return fields

    return run
