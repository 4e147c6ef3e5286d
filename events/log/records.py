"""Records: messages and their envelopes as they lie in the log.

Value: the Confluent wire format (byte 0, four bytes of schema id, Avro body). Metadata: Kafka
headers by the CloudEvents Kafka binding in binary mode. Both directions are here and only here.

Each event also holds the hash of the record before it in its partition, so that a changed,
dropped, swapped or inserted record shows (``chain_hash``; over control records ``control_hash``).
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import fastavro
import msgspec

from events.bounds import OutOfBounds, check
from events.features import PROCESS, Levels
from events.log.contract import Record
from events.log.unions import Naming, naming
from events.message import Context, Event, Message, message_class
from schemas.catalog import Catalog, catalog

_PREFIX = struct.Struct(">bI")
_pack = msgspec.msgpack.Encoder(order="sorted").encode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000

ENVELOPE_CHARS_MAX = 1000
REPLY_PARTITION_DIGITS_MAX = 6
"""What is longer in a header was not written by us."""

GENESIS = "0" * 64
"""The hash before a partition's first event."""


_MISFITS = (
    EOFError,
    IndexError,
    ValueError,
    struct.error,
    msgspec.ValidationError,
    fastavro.read.SchemaResolutionError,
)


class BadRecord(Exception):
    """A record that is not in the form this module writes; the text says which and why."""


class _Form(msgspec.Struct, frozen=True):
    """How one class is written: its first five bytes, its schema, its unions."""

    prefix: bytes
    schema: Any
    naming: Naming | None


class Codec:
    """Encodes and decodes messages with the schemas of a catalogue. Thread-safe.

    ``levels``: which types may be written; by default those of this process.
    """

    def __init__(self, schemas: Catalog | None = None, levels: Levels | None = None) -> None:
        self._schemas = schemas or catalog()
        self.levels = levels or PROCESS
        self._forms: dict[type[Message], _Form] = {}

    def encode(self, message: Message) -> bytes:
        """The wire form. Nothing is written that did not pass here. Raises ``OutOfBounds``,
        ``events.features.NotEnabled`` or ``schemas.catalog.SchemaNotCommitted``."""
        self.levels.require(message)
        check(message)
        return self.written(message)

    def written(self, message: Message) -> bytes:
        """The wire form of a message whose level and bounds were checked."""
        form = self._forms.get(type(message)) or self._form(type(message))
        fields: Any = msgspec.to_builtins(message, builtin_types=(bytes,))
        if form.naming is not None:
            form.naming(fields)
        out = io.BytesIO()
        out.write(form.prefix)
        fastavro.schemaless_writer(out, form.schema, fields)
        return out.getvalue()

    def _form(self, cls: type[Message]) -> _Form:
        id, schema = self._schemas.writer(cls, cls.type_name)
        form = self._forms[cls] = _Form(_PREFIX.pack(0, id), schema, naming(schema))
        return form

    def decode(self, value: bytes) -> Message:
        """The message, in its bounds. An event was checked when it was made. Raises as ``read``."""
        message = self.read(value)
        if not isinstance(message, Event):
            try:
                check(message)
            except OutOfBounds as error:
                raise BadRecord(f"{message.type_name}: {error}") from error
        return message

    def read(self, value: bytes) -> Message:
        """The message. Raises ``BadRecord``, ``events.message.UnknownMessage`` or
        ``schemas.catalog.UnknownSchema``."""
        if len(value) < 5 or value[0] != 0:
            raise BadRecord("the value does not begin with a schema id")
        known = self._schemas.reader(_PREFIX.unpack_from(value)[1])
        body = io.BytesIO(value)
        body.seek(5)
        try:
            fields: Any = fastavro.schemaless_reader(body, known.writer, known.reader)
            if body.tell() != len(value):
                raise ValueError("bytes are left over")
            cls = message_class(known.message)
            return msgspec.convert(known.upcast(fields), cls)
        except _MISFITS as error:
            raise BadRecord(f"the body does not fit schema {known.subject}: {error}") from error


def rfc3339(instant: int) -> str:
    """Microseconds since 1970 as ``2026-01-01T00:00:00.000000Z``."""
    seconds, micros = divmod(instant, _SECOND)
    return f"{_to_the_second(seconds)}.{micros:06d}Z"


@lru_cache(maxsize=64)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def instant(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 text. Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} says no offset from UTC")
    delta = moment - _EPOCH
    return (delta.days * 86400 + delta.seconds) * _SECOND + delta.microseconds


def headers(context: Context, type: str, source: str, subject: str = "") -> dict[str, str]:
    """The CloudEvents headers of a record that is not an event of the truth."""
    made = {
        "ce_specversion": "1.0",
        "ce_id": context.id,
        "ce_type": f"chronova.{type}",
        "ce_source": source,
        "ce_time": rfc3339(context.time),
        "content-type": "application/avro",
    }
    if subject:
        made["ce_subject"] = subject
    for name, value in (
        ("ce_requestid", context.request_id),
        ("ce_correlationid", context.correlation_id),
        ("ce_causationid", context.causation_id),
        ("ce_actoruser", context.user_id),
        ("ce_actorproject", context.project_id),
        ("ce_traceparent", context.traceparent),
        ("ce_replyto", context.reply_to),
    ):
        if value:
            made[name] = value
    return made


def context_of(record: Record) -> Context:
    """The envelope in a record's headers. Raises ``BadRecord``, also for what could be written
    in no table (control characters) or would name no partition to reply to."""
    h = record.headers
    try:
        context = Context(
            id=h["ce_id"],
            time=instant(h["ce_time"]),
            request_id=h.get("ce_requestid", ""),
            correlation_id=h.get("ce_correlationid", ""),
            causation_id=h.get("ce_causationid", ""),
            user_id=h.get("ce_actoruser", ""),
            project_id=h.get("ce_actorproject", ""),
            traceparent=h.get("ce_traceparent", ""),
            reply_to=h.get("ce_replyto", ""),
        )
        _check_envelope(context)
    except (KeyError, ValueError) as error:
        raise BadRecord(f"{record.topic}/{record.partition}@{record.offset}: {error}") from error
    return context


def _check_envelope(context: Context) -> None:
    reply_to = context.reply_to
    if reply_to and not (reply_to.isdecimal() and len(reply_to) <= REPLY_PARTITION_DIGITS_MAX):
        raise ValueError("ce_replyto is no partition")
    texts = (
        context.id,
        context.request_id,
        context.correlation_id,
        context.causation_id,
        context.user_id,
        context.project_id,
        context.traceparent,
    )
    joined = "".join(texts)
    too_long = len(joined) > ENVELOPE_CHARS_MAX and max(map(len, texts)) > ENVELOPE_CHARS_MAX
    if too_long or not joined.isprintable():
        raise ValueError("a header is too long or has control characters")


class EventStamp(msgspec.Struct, frozen=True):
    """Where an event stands: in its partition, in its subject's history, in the hash chain."""

    position: int
    """Its number in the partition, from 1, gapless (offsets are not)."""
    sequence: int
    """Its number in its subject's history, from 1, gapless."""
    previous_hash: str


def stamp_headers(made: dict[str, str], stamp: EventStamp) -> dict[str, str]:
    """Add an event's place to its headers (in place) and return them."""
    made["ce_position"] = str(stamp.position)
    made["ce_sequence"] = str(stamp.sequence)
    made["ce_previoushash"] = stamp.previous_hash
    return made


def stamp_of(record: Record) -> EventStamp:
    """The place of an event. Raises ``BadRecord``."""
    h = record.headers
    try:
        return EventStamp(int(h["ce_position"]), int(h["ce_sequence"]), h["ce_previoushash"])
    except (KeyError, ValueError) as error:
        raise BadRecord(f"{record.topic}/{record.partition}@{record.offset}: {error}") from error


def chain_hash(key: str, value: bytes, made: Mapping[str, str]) -> str:
    """SHA-256 (hex) of an event: its key, value and all headers, the previous hash among them.

    The bytes to hash are the MessagePack of the list (key, value, headers), headers in order of
    their names: each part has its length before it, so no two records have the same bytes.
    """
    return hashlib.sha256(_pack((key, value, made))).hexdigest()


def control_hash(previous: str, record: Record) -> str:
    """Return the running hash after a control record (``events.journal``), from the one before it.

    SHA-256 (hex) of both hashes as text, one after the other. A control record names no previous
    hash, so this is what makes the next event's ``ce_previoushash`` cover it.
    """
    own = chain_hash(record.key, record.value, record.headers)
    return hashlib.sha256((previous + own).encode()).hexdigest()
