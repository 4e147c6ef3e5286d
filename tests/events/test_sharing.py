"""What many states have in common is one object, and nothing but memory depends on it."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

import commands.compute
import events.fleet
from events.aggregate import AGGREGATES
from events.compute.server import Server
from events.log.records import Codec
from events.message import Event
from events.sharing import CHARS_MAX, SHARED, Table, share, shared
from events.state_codec import decode_state, encode_state
from tests.commands.compute.servers import created, selected

assert commands.compute and events.fleet

OWN = ["requested_host", "image"]


def read(event: Event) -> Event:
    """As from the log: made of objects of its own."""
    codec = Codec()
    copy = codec.decode(codec.encode(event))
    assert isinstance(copy, Event)
    return copy


def server(id: str) -> Server:
    """Folded from events as read."""
    state = None
    for event in (
        created(id, metadata={"role": "web"}, tags=["blue"], security_groups=["default"]),
        selected(server_id=id, availability_zone="north"),
    ):
        state = AGGREGATES["server"].evolve(state, read(event))
    assert isinstance(state, Server)
    return state


@pytest.mark.parametrize("loaded", [False, True])
def test_servers_share_what_is_the_same(loaded: bool) -> None:
    one, other = server("server-1"), server("server-2")
    if loaded:
        one, other = (decode_state(encode_state(state), Server) for state in (one, other))
    for field in ("flavor", "image", "project_id", "user_id", "host", "availability_zone"):
        assert getattr(one, field) is getattr(other, field), field
    assert one.metadata["role"] is other.metadata["role"]
    assert one.tags[0] is other.tags[0]
    assert one.security_groups is other.security_groups
    assert one.scheduler_hints is other.scheduler_hints
    assert one.server_id != other.server_id


def test_nothing_is_changed_by_sharing() -> None:
    raw = AGGREGATES["server"]
    state = server("server-1")
    assert decode_state(encode_state(state), Server) == state
    copy = msgspec.structs.replace(state)
    share(copy)
    assert copy == state
    assert raw.evolve(state, read(selected(server_id="server-1"))).flavor is state.flavor


def test_each_shared_field_is_a_field_of_its_state() -> None:
    assert Server in SHARED
    for state, fields in SHARED.items():
        assert set(fields) <= {field.name for field in msgspec.structs.fields(state)}, state


@pytest.mark.parametrize(
    "value",
    ["", "text", "x" * (CHARS_MAX + 1), [], ["a"], ["a", "b"], {}, {"a": "b", "c": ["d"]}, 7, None],
)
def test_what_is_shared_is_equal(value: Any) -> None:
    copy = msgspec.msgpack.decode(msgspec.msgpack.encode(value))
    assert shared(copy) == value
    assert type(shared(copy)) is type(value)


def test_the_table_is_bounded_and_keeps_what_is_used() -> None:
    table = Table(size=10)
    hot = "hot"
    for number in itertools.islice(itertools.count(), 1000):
        assert table.one("hot", "".join(["h", "ot"])) is table.one("hot", hot)
        table.one(number, object())
        assert len(table) <= 20
