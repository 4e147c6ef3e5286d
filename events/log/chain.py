"""Walking journals: each record must follow the one before it.

A walk knows for each partition how far it is (``Link``). It passes over void records, takes control
records, which must be readable, into the running hash, and checks of each event that its position
is the next one and that it names the hash of what lies before it. Projections,
``chronova log verify`` and all other readers of journals share these rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Generic, TypeVar

import msgspec

from events.log.contract import Record, TopicPartition
from events.log.records import (
    GENESIS,
    BadRecord,
    Codec,
    EventStamp,
    chain_hash,
    control_hash,
    stamp_of,
)
from events.log.terms import Terms, begins_term, is_control
from events.message import UnknownMessage
from schemas.catalog import UnknownSchema


class Link(msgspec.Struct, frozen=True):
    """How far one journal was walked.

    ``offset``: the next one to read. ``position``: that of the last event, 0 for none. ``term``:
    the current one, None where none has begun. ``hash``: the running hash.
    """

    offset: int = 0
    position: int = 0
    term: int | None = None
    hash: str = GENESIS


L = TypeVar("L", bound=Link)


class BrokenChain(Exception):
    """A record does not follow the one before it; the text names it and says why."""


class Walk(Generic[L]):
    """A walk along some journals, from ``links`` on. Not thread-safe."""

    def __init__(self, links: Mapping[TopicPartition, L]) -> None:
        self.links = dict(links)
        self._terms = Terms({s: link.term for s, link in links.items() if link.term is not None})

    def take(self, record: Record) -> EventStamp | None:
        """Take the next record of its journal; return the stamp of an event that counts, None
        for any other record. Raises ``BrokenChain``, and the walk is where it was before."""
        source = record.source
        link = self.links[source]
        if begins_term(record):
            _readable(record)
        if not self._terms.admits(record):
            self.links[source] = msgspec.structs.replace(link, offset=record.offset + 1)
            return None
        if is_control(record):
            _readable(record)
            self.links[source] = msgspec.structs.replace(
                link,
                offset=record.offset + 1,
                term=self._terms.term_of(source),
                hash=control_hash(link.hash, record),
            )
            return None
        stamp = _checked(record, link)
        self.links[source] = msgspec.structs.replace(
            link,
            offset=record.offset + 1,
            position=stamp.position,
            hash=chain_hash(record.key, record.value, record.headers),
        )
        return stamp


def _readable(record: Record) -> None:
    """Refuse a control record that no decider can fold: all readers wait at the same one."""
    try:
        _codec().decode(record.value)
    except (BadRecord, UnknownMessage, UnknownSchema) as error:
        name = f"the control record at {record.topic}/{record.partition} offset {record.offset}"
        raise BrokenChain(f"{name} cannot be read by this version of Chronova: {error}") from error


@cache
def _codec() -> Codec:
    return Codec()


def _checked(record: Record, link: Link) -> EventStamp:
    name = f"the event at {record.topic}/{record.partition} offset {record.offset}"
    try:
        stamp = stamp_of(record)
    except BadRecord as error:
        raise BrokenChain(f"{name} has no place in the history: {error}") from error
    if stamp.position != link.position + 1:
        raise BrokenChain(
            f"{name} has position {stamp.position} where {link.position + 1} must follow:"
            " events are missing, or this is another log than the one read before"
        )
    if stamp.previous_hash != link.hash:
        raise BrokenChain(
            f"{name} does not follow what lies before it: it names the hash"
            f" {stamp.previous_hash[:16]}…, that of the records before it is {link.hash[:16]}…;"
            " one of them was changed, or the log was restored from another copy"
        )
    return stamp
