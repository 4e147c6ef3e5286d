"""Records: the wire form of bodies and envelopes, and what is said about damaged ones."""

from __future__ import annotations

import hashlib
import io
import struct
from datetime import UTC, datetime
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.journal import Answer, Marked, TermBegan
from events.log.contract import Record
from events.log.records import (
    GENESIS,
    BadRecord,
    Codec,
    EventStamp,
    chain_hash,
    context_of,
    control_hash,
    headers,
    instant,
    rfc3339,
    stamp_headers,
    stamp_of,
)
from events.log.unions import naming
from events.message import MESSAGES, Context, Message
from schemas.catalog import UnknownSchema, catalog, id_of
from schemas.commit import import_messages
from tests.schemas import golden

import_messages()

CODEC = Codec()
NEWEST = [v for v in catalog().versions() if catalog().newest(v.message) == v]
FULL = golden.read(next(v for v in NEWEST if v.message == "compute.ServerCreated")).full
BODY = bytes.fromhex(FULL.bytes)

CONTEXT = Context(
    id="0199d2a1-0000-7000-8000-000000000001",
    time=1_767_225_600_000_001,
    request_id="req-1",
    correlation_id="c-1",
    causation_id="k-1",
    user_id="u-1",
    project_id="p-1",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    reply_to="3",
)


def record(made: dict[str, str]) -> Record:
    return Record("compute.events", 2, 7, 0, "key", b"", made)


@pytest.mark.parametrize("version", [pytest.param(v, id=v.message) for v in NEWEST])
def test_naming_unions_changes_no_byte(version: Any) -> None:
    """What fastavro writes when it has to find each branch by itself is the same."""
    for each in (golden.read(version).full, golden.read(version).sparse):
        message = msgspec.convert(each.value, MESSAGES[version.message])
        plain = io.BytesIO()
        plain.write(struct.pack(">bI", 0, version.id))
        fields = msgspec.to_builtins(message, builtin_types=(bytes,))
        fastavro.schemaless_writer(plain, version.schema, fields)
        assert CODEC.written(message) == plain.getvalue()
        assert CODEC.read(plain.getvalue()) == message


OPTIONAL = ["null", "string"]
INNER = {"type": "record", "name": "In", "fields": [{"name": "x", "type": OPTIONAL}]}


@pytest.mark.parametrize(
    ("type", "value"),
    [
        (["null", INNER], {"x": None}),
        (["null", INNER], None),
        ({"type": "array", "items": ["null", INNER]}, [{"x": "1"}, None]),
        ({"type": "map", "values": {"type": "array", "items": ["null", INNER]}}, {"k": [None]}),
        (["null", {"type": "map", "values": INNER}], {"k": {"x": "1"}}),
        (["null", {"type": "array", "items": "string"}], ["a"]),
        (["null", "Outer"], {"a": None}),
        ({"type": "array", "items": ["null", "Outer"]}, [{"a": []}, None]),
    ],
)
def test_every_nesting_of_unions(type: Any, value: Any) -> None:
    outer = {"type": "record", "name": "Outer", "fields": [{"name": "a", "type": type}]}
    schema = fastavro.parse_schema(outer)
    plain, named = io.BytesIO(), io.BytesIO()
    fastavro.schemaless_writer(plain, schema, {"a": value})
    name = naming(schema)
    assert name is not None
    fastavro.schemaless_writer(named, schema, name({"a": value}))
    assert named.getvalue() == plain.getvalue()


def test_a_schema_without_such_unions_needs_no_naming() -> None:
    schema = {"type": "array", "items": {"type": "map", "values": OPTIONAL}}
    assert naming(fastavro.parse_schema(schema)) is None
    assert naming(fastavro.parse_schema(INNER)) is None


def test_the_confluent_wire_format() -> None:
    assert struct.unpack(">bI", BODY[:5]) == (0, id_of("compute.ServerCreated", 1))


@pytest.mark.parametrize("value", [b"", b"\0", b"\0\0\0\0", b"\1" + BODY[1:], b"{}"])
def test_what_is_no_record(value: bytes) -> None:
    with pytest.raises(BadRecord, match="does not begin with a schema id"):
        CODEC.decode(value)


def test_an_unknown_schema() -> None:
    with pytest.raises(UnknownSchema, match="no schema has the id 1"):
        CODEC.decode(b"\0\0\0\0\1rest")


def test_a_record_cut_short_at_any_byte() -> None:
    for length in range(5, len(BODY)):
        with pytest.raises(BadRecord, match="does not fit schema compute"):
            CODEC.decode(BODY[:length])


def test_bytes_after_the_record() -> None:
    with pytest.raises(BadRecord, match="bytes are left over"):
        CODEC.decode(BODY + b"x")


@given(st.sampled_from(NEWEST), st.binary(max_size=60))
def test_any_bytes_are_a_message_or_bad(version: Any, body: bytes) -> None:
    try:
        message = CODEC.decode(struct.pack(">bI", 0, version.id) + body)
    except BadRecord as error:
        assert version.subject in str(error)
    else:
        assert message.type_name == version.message


@given(st.integers(5, len(BODY) - 1), st.integers(0, 255))
def test_a_changed_byte_is_a_message_or_bad(position: int, byte: int) -> None:
    try:
        message: Message | None = CODEC.decode(
            BODY[:position] + bytes([byte]) + BODY[position + 1 :]
        )
    except BadRecord:
        message = None
    assert message is None or message.type_name == "compute.ServerCreated"


MOMENTS = st.integers(0, 253_402_300_799_999_999)


@given(MOMENTS)
def test_moments_as_text(moment: int) -> None:
    text = rfc3339(moment)
    assert instant(text) == moment
    seconds, micros = divmod(moment, 1_000_000)
    there = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
    assert datetime.fromisoformat(text) == there
    assert len(text) == len("2026-01-01T00:00:00.000000Z")


def test_a_moment() -> None:
    assert rfc3339(1_767_225_600_000_001) == "2026-01-01T00:00:00.000001Z"
    assert instant("2026-01-01T01:00:00+01:00") == 1_767_225_600_000_000


def test_headers_are_cloudevents_in_kafkas_binary_mode() -> None:
    made = headers(CONTEXT, "compute.ServerCreated", "/chronova/compute/2", "server/s-1")
    assert made == {
        "ce_specversion": "1.0",
        "ce_id": CONTEXT.id,
        "ce_type": "chronova.compute.ServerCreated",
        "ce_source": "/chronova/compute/2",
        "ce_time": "2026-01-01T00:00:00.000001Z",
        "content-type": "application/avro",
        "ce_subject": "server/s-1",
        "ce_requestid": "req-1",
        "ce_correlationid": "c-1",
        "ce_causationid": "k-1",
        "ce_actoruser": "u-1",
        "ce_actorproject": "p-1",
        "ce_traceparent": CONTEXT.traceparent,
        "ce_replyto": "3",
    }
    assert context_of(record(made)) == CONTEXT


def test_what_is_unknown_has_no_header() -> None:
    made = headers(Context(id="x", time=0), "compute.StopServer", "/api")
    assert set(made) == {
        "ce_specversion",
        "ce_id",
        "ce_type",
        "ce_source",
        "ce_time",
        "content-type",
    }
    assert context_of(record(made)) == Context(id="x", time=0)


@pytest.mark.parametrize("damage", [{"ce_id": None}, {"ce_time": None}, {"ce_time": "yesterday"}])
def test_a_damaged_envelope_says_where(damage: dict[str, str | None]) -> None:
    made = headers(CONTEXT, "compute.StopServer", "/api") | damage
    kept = {name: value for name, value in made.items() if value is not None}
    with pytest.raises(BadRecord, match="events/2@7"):
        context_of(record(kept))


def test_the_place_of_an_event() -> None:
    made = stamp_headers({}, EventStamp(12, 3, GENESIS))
    assert made == {"ce_position": "12", "ce_sequence": "3", "ce_previoushash": "0" * 64}
    assert stamp_of(record(made)) == EventStamp(12, 3, GENESIS)
    for damage in ({"ce_position": "x"}, {"ce_sequence": ""}):
        with pytest.raises(BadRecord, match="events/2@7"):
            stamp_of(record(made | damage))
    with pytest.raises(BadRecord):
        stamp_of(record({}))


def test_the_hash_of_an_event_is_for_ever() -> None:
    """The bytes are written out here: MessagePack of key, value, headers in order of names."""
    plain = b"\x93" + b"\xa1k" + b"\xc4\x01v" + b"\x82" + b"\xa1a" + b"\xa11" + b"\xa1b" + b"\xa12"
    assert chain_hash("k", b"v", {"b": "2", "a": "1"}) == hashlib.sha256(plain).hexdigest()
    assert chain_hash("k", b"v", {"a": "1", "b": "2"}) == hashlib.sha256(plain).hexdigest()


PARTS = st.tuples(st.text(), st.binary(), st.dictionaries(st.text(), st.text(), max_size=4))


@given(PARTS, PARTS)
def test_different_events_have_different_hashes(one: Any, other: Any) -> None:
    assert (chain_hash(*one) == chain_hash(*other)) == (one == other)


@pytest.mark.parametrize(
    "other",
    [
        ("k", b"v", {"a": "1", "b": "3"}),
        ("k", b"v", {"a": "12"}),
        ("k", b"v", {"a1": "b2"}),
        ("kv", b"", {"a": "1", "b": "2"}),
        ("k", b"v", {"a": "1", "b": "2", "": ""}),
    ],
)
def test_parts_cannot_run_together(other: Any) -> None:
    assert chain_hash(*other) != chain_hash("k", b"v", {"a": "1", "b": "2"})


def test_the_running_hash_covers_control_records() -> None:
    began = record({"ce_type": "chronova.journal.TermBegan"})
    own = chain_hash(began.key, began.value, began.headers)
    after = control_hash(GENESIS, began)
    assert after == hashlib.sha256((GENESIS + own).encode()).hexdigest()
    assert after != control_hash(own, began)
    assert after != control_hash(GENESIS, record({"ce_type": "chronova.journal.Marked"}))


def test_control_records_are_messages() -> None:
    answer = Answer(command_id="c", reply_to="3", status=409, code="conflict", detail="No.")
    for message in (TermBegan(at=1, owner="host:7"), Marked(at=1, answers=[answer])):
        assert CODEC.decode(CODEC.encode(message)) == message
        assert message.type_domain == "journal"
