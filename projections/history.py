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

_BODY = list(HISTORY.columns.keys()).index("body")
_HEX = "\\\\x"
"""Begins a bytea, its backslash doubled for COPY already."""
_SPECIAL = str.maketrans(
    {
        "\\": "\\\\",
        "\b": "\\b",
        "\t": "\\t",
        "\n": "\\n",
        "\v": "\\v",
        "\f": "\\f",
        "\r": "\\r",
        "\0": "\ufffd",
    }
)
"""As Postgres itself writes them, so that a line can be compared with what COPY gives back."""

INDEXED_CHARS = 200
SEQUENCE_MAX = 2**63 - 1


def history_line(
    record: Record, event: Event, stamp: EventStamp, *, shortened: bool = False
) -> str:
    """An event's row in Postgres's COPY text form, without the line's end. ``body`` is the
    whole value, its schema id included. Raises ``BadRecord`` when a header is missing.

    Text in Postgres cannot hold NUL: U+FFFD stands for it. ``shortened``: columns are cut to what
    they and their indexes can hold. Body and headers are whole in any case.
    """
    h = record.headers
    body = _HEX + record.value.hex()
    aggregate, _, aggregate_id = h.get("ce_subject", "").partition("/")
    request_id, sequence = h.get("ce_requestid", ""), stamp.sequence
    if shortened:
        aggregate_id, request_id = aggregate_id[:INDEXED_CHARS], request_id[:INDEXED_CHARS]
        aggregate = aggregate[:INDEXED_CHARS]
        sequence = min(max(sequence, 0), SEQUENCE_MAX)
    try:
        fields = (
            record.topic.partition(".")[0],
            str(record.partition),
            str(stamp.position),
            str(record.offset),
            aggregate,
            aggregate_id,
            str(sequence),
            event.type_name,
            h["ce_id"],
            request_id,
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
    except (KeyError, ValueError, TypeError) as error:
        raise BadRecord(f"{record.topic}/{record.partition}@{record.offset}: {error}") from error
    plain = "".join([*fields[:_BODY], *fields[_BODY + 1 :]])
    if "\\" not in plain and plain.isprintable():
        return "\t".join(fields)  # nearly always so
    return "\t".join(field if field is body else field.translate(_SPECIAL) for field in fields)
