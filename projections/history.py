"""The audit's ``history``: every event as it lies in the log, with all its headers.

Nothing is left out, refusals and defects neither, so the hash chain of each partition can be
checked from this table alone (``events.log.records.chain_hash`` of key, body and headers).
Times are microseconds since 1970: ``time`` the decider's clock, ``appended`` the log's.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from events.log.contract import Record
from events.log.records import EventStamp
from events.message import Context, Event
from projections.table import METADATA, Row

HISTORY = Table(
    "history",
    METADATA,
    Column("domain", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("aggregate", Text, nullable=False),
    Column("aggregate_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("causation_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("appended", BigInteger, nullable=False),
    Column("schema_id", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("headers", JSON, nullable=False),
    Index("history_of_aggregate", "aggregate_id", "aggregate", "sequence"),
    Index("history_of_request", "request_id"),
)


def history_row(record: Record, event: Event, stamp: EventStamp, context: Context) -> Row:
    """The row of an event. ``body`` is the whole value, its schema id included."""
    aggregate, aggregate_id = event.subject if event.folds else ("", "")
    return {
        "domain": record.topic.partition(".")[0],
        "partition": record.partition,
        "position": stamp.position,
        "offset": record.offset,
        "aggregate": aggregate,
        "aggregate_id": aggregate_id,
        "sequence": stamp.sequence,
        "type": event.type_name,
        "event_id": context.id,
        "request_id": context.request_id,
        "correlation_id": context.correlation_id,
        "causation_id": context.causation_id,
        "user_id": context.user_id,
        "project_id": context.project_id,
        "time": context.time,
        "appended": record.timestamp,
        "schema_id": int.from_bytes(record.value[1:5], "big"),
        "key": record.key,
        "body": record.value,
        "headers": dict(record.headers),
    }
