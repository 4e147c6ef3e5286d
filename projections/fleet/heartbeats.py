"""When each service was last heard. Followed from the heartbeats, not folded from events: it is
gone with a rebuild and back with the next heartbeat.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import structlog
from sqlalchemy import BigInteger, Column, Table, Text

from events.fleet.heartbeat import TROUBLES_MAX, Heartbeat
from events.host_proof import SITE, Unproved
from events.log.contract import Record
from events.log.records import BadRecord, Codec
from events.message import UnknownMessage
from events.topics import HEARTBEATS
from projections.table import METADATA, Row, follow
from schemas.catalog import UnknownSchema

SERVICE_HEARTBEATS = Table(
    "service_heartbeats",
    METADATA,
    Column("host", Text, primary_key=True),
    Column("binary", Text, primary_key=True),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("version", Text, nullable=False),
    Column("troubles", Text, nullable=False),
)
"""``last_seen_at``: when the log took the heartbeat, ``started_at``: when the service started, by
its own clock; microseconds since 1970. ``troubles``: a JSON list of sentences."""

logger = structlog.get_logger("projector")

_codec = Codec()


def heartbeat_rows(records: Sequence[Record]) -> list[Row]:
    """The rows that these heartbeats come to; what is none, or is not proved, is left out."""
    rows: list[Row] = []
    for record in records:
        try:
            beat = _codec.decode(record.value)
        except (BadRecord, UnknownMessage, UnknownSchema) as error:
            logger.warning("a heartbeat cannot be read", key=record.key, reason=str(error))
            continue
        if isinstance(beat, Heartbeat) and _proved(record, beat):
            rows.append(
                {
                    "host": beat.host,
                    "binary": beat.binary,
                    "last_seen_at": record.timestamp,
                    "started_at": beat.started_at,
                    "version": beat.version,
                    "troubles": msgspec.json.encode(beat.troubles[:TROUBLES_MAX]).decode(),
                }
            )
    return rows


def _proved(record: Record, beat: Heartbeat) -> bool:
    try:
        SITE.check(record, beat)
    except Unproved:
        return False  # the process has counted and logged it
    return True


follow(HEARTBEATS, SERVICE_HEARTBEATS, heartbeat_rows)
