"""Terms: which records of a journal count.

A journal has one owner at a time. An owner's term begins with its ``TermBegan``; the offset of
that record is the term's number, and each later record names its term (header ``ce_term``). An
owner that has lost its journal may still write for a moment. Those records are void: every reader
passes them over, by the same rule, on every log.
"""

from __future__ import annotations

from collections.abc import Mapping

from events.journal import Marked, TermBegan
from events.log.contract import Record, TopicPartition

TERM = "ce_term"
"""Header: the term in which a record was written, in decimal digits."""

TERM_DIGITS_MAX = 19

BEGINS_TERM = f"chronova.{TermBegan.type_name}"
"""The ``ce_type`` of a term's first record."""

_CONTROL = frozenset((BEGINS_TERM, f"chronova.{Marked.type_name}"))


def is_control(record: Record) -> bool:
    """Whether the record is ``TermBegan`` or ``Marked``: part of the journal, but no event."""
    return record.headers.get("ce_type") in _CONTROL


def begins_term(record: Record) -> bool:
    """Whether the record is ``TermBegan``."""
    return record.headers.get("ce_type") == BEGINS_TERM


class Terms:
    """One reader's memory of the current term of each journal. Not thread-safe.

    ``known``: the term of each partition at the place where the reader begins. A reader that
    begins at the first record needs none. One that begins elsewhere without them believes the
    newest term that it has seen named, until it reads a ``TermBegan``.
    """

    def __init__(self, known: Mapping[TopicPartition, int] | None = None) -> None:
        self._terms = dict(known or {})
        self._named: dict[TopicPartition, int] = {}

    def admits(self, record: Record) -> bool:
        """Return whether the record counts, and remember the term that a ``TermBegan`` begins.

        Call it once for each record, in the order of offsets. Where no term is known a record
        that names none counts.
        """
        source = record.source
        headers = record.headers
        if begins_term(record):
            self._terms[source] = record.offset
            return True
        text = headers.get(TERM)
        known = self._terms.get(source)
        if text is None:
            return known is None and source not in self._named
        term = _number(text)
        if known is not None:
            return term == known
        if term < self._named.get(source, 0):
            return False
        self._named[source] = term
        return True

    is_control = staticmethod(is_control)

    def term_of(self, source: TopicPartition) -> int | None:
        """Return the current term of a journal, None where no ``TermBegan`` was read."""
        return self._terms.get(source)


def _number(text: str) -> int:
    """Return the term that a header names, -1 when it names none."""
    if len(text) <= TERM_DIGITS_MAX and text.isascii() and text.isdecimal():
        return int(text)
    return -1
