"""Marks: how far a decider's inputs were taken, as its journal says.

The last record of each append carries them (header ``ce_marks``), so that an owner's place in its
inputs is true exactly when what it decided is. The fold of the journal gives them back: no offsets
are kept anywhere else.

A command that followed from a fact names its origin in its id,
``compute.events/3/120>0``: journal, position of the fact, number of what followed. From each
journal they come in order, perhaps repeatedly, so the highest one taken says which were.
"""

from __future__ import annotations

import re

import msgspec

from events.log.contract import Record
from events.log.records import BadRecord

MARKS = "ce_marks"
"""The header."""

Followed = tuple[int, int]
"""Which of a journal's follow-ups: position of the fact, number of what follows from it."""

Waited = tuple[int, int]
"""A moment, and for how long (microseconds) owners have listened for reports since then, over all
terms, with deadlines of before that moment overdue."""

_ORIGIN = re.compile(r"([a-z]+\.events/\d{1,6})/(\d{1,18})>(\d{1,6})")


class Marks(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far an owner has come; in an append, only what has changed since the one before."""

    inputs: dict[str, int] = {}
    """By input topic, the offset of the next record to take."""
    taken: dict[str, Followed] = {}
    """By journal, the last of its follow-ups that was taken."""
    delivered: int = -1
    """What follows from all records of this journal up to this offset was delivered."""
    held: list[int] = []
    """But for these, whose receivers could not be reached."""
    waited: Waited | None = None

    def after(self, newer: Marks) -> Marks:
        """Return these marks with what a newer append changed.

        A new owner tries once more what was held, and says before that comes to an end only that
        less is delivered: what was held then is so still.
        """
        held = {offset for offset in self.held if offset > newer.delivered}
        return Marks(
            inputs={**self.inputs, **newer.inputs},
            taken={**self.taken, **newer.taken},
            delivered=max(self.delivered, newer.delivered),
            held=sorted(held.union(newer.held)),
            waited=newer.waited or self.waited,
        )

    def encode(self) -> str:
        """Return the header's text."""
        return msgspec.json.encode(self).decode()


def marks_of(record: Record) -> Marks | None:
    """Return the marks in a record's header, None where it has none. Raises ``BadRecord``."""
    text = record.headers.get(MARKS)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Marks)
    except msgspec.DecodeError as error:
        raise BadRecord(
            f"{record.topic}/{record.partition}@{record.offset}: {MARKS}: {error}"
        ) from error


def origin_of(id: str) -> tuple[str, Followed] | None:
    """Return journal and number of the follow-up with this id, None for any other id."""
    found = _ORIGIN.fullmatch(id) if ">" in id else None
    return (found[1], (int(found[2]), int(found[3]))) if found else None


def follow_id(fact_id: str, index: int) -> str:
    """Return the id of what follows, as number ``index``, from the fact with this id."""
    return f"{fact_id}>{index}"
