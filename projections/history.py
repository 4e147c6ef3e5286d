"""The audit's ``history``: every event as it lies in the log, with all its headers.

Nothing is left out, refusals and defects neither, so the hash chain of each partition can be
checked from this table alone (``events.log.records.chain_hash`` of key, body and headers).
Times are microseconds since 1970: ``time`` the decider's clock, ``appended`` the log's.
"""

from __future__ import annotations

import orjson
from sqlalchemy import JSON, BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from events.log.contract import Record
from events.log.records import BadRecord, EventStamp, instant
from events.message import Event
from projections.table import METADATA

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


COLUMNS = ", ".join(f'"{column.name}"' for column in HISTORY.columns)
COPY = f"COPY history ({COLUMNS}) FROM STDIN"

_TABS = len(HISTORY.columns) - 1
_HEX = "\\\\x"
"""Begins a bytea, its backslash doubled for COPY already."""
_SPECIAL = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\ufffd"})


def history_line(record: Record, event: Event, stamp: EventStamp) -> str:
    """An event's row in Postgres's COPY text form, without the line's end. ``body`` is the
    whole value, its schema id included. Raises ``BadRecord`` when a header is missing.

    Text in Postgres cannot hold NUL: U+FFFD stands for it.
    """
    h = record.headers
    body = _HEX + record.value.hex()
    aggregate, _, aggregate_id = h.get("ce_subject", "").partition("/")
    try:
        fields = (
            record.topic.partition(".")[0],
            str(record.partition),
            str(stamp.position),
            str(record.offset),
            aggregate,
            aggregate_id,
            str(stamp.sequence),
            event.type_name,
            h["ce_id"],
            h.get("ce_requestid", ""),
            h.get("ce_correlationid", ""),
            h.get("ce_causationid", ""),
            h.get("ce_actoruser", ""),
            h.get("ce_actorproject", ""),
            str(instant(h["ce_time"])),
            str(record.timestamp),
            str(int.from_bytes(record.value[1:5], "big")),
            record.key,
            body,
            orjson.dumps(h if isinstance(h, dict) else dict(h)).decode(),
        )
    except (KeyError, ValueError) as error:
        raise BadRecord(f"{record.topic}/{record.partition}@{record.offset}: {error}") from error
    line = "\t".join(fields)
    plain = line.count("\\") == 2 and line.count("\t") == _TABS
    if plain and "\n" not in line and "\r" not in line and "\0" not in line:
        return line  # nearly always so
    return "\t".join(field if field is body else field.translate(_SPECIAL) for field in fields)
