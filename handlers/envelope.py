"""What the envelope of a record is believed."""

from __future__ import annotations

import msgspec

from events.log.contract import Record
from events.log.records import BadRecord, context_of
from events.message import Context


def envelope_of(record: Record, now: int, type_name: str, reported: bool) -> Context:
    """The envelope of a record; one that says only where it lies in place of one that cannot be
    used. A host gets no answer, and its ids cannot be those of others' commands, which would pass
    for decided then: they end in the report's name."""
    try:
        context = context_of(record)
        if not reported:
            return context
        if context.id.endswith(f":{type_name}"):
            return msgspec.structs.replace(context, reply_to="")
    except BadRecord:
        pass
    return Context(id=f"{record.topic}/{record.partition}@{record.offset}", time=now)
