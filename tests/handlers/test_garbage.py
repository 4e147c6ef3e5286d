"""Whatever lies in a topic of commands is decided or recorded as failed: it stops nobody."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from commands.compute.power import StopServer
from events.log.contract import Record
from events.log.records import GENESIS, Codec, EventStamp, headers, stamp_headers
from events.message import Context
from events.outcome import CommandFailed
from handlers.decider.partition import ForeignLog, Partition
from tests.parts.given import Story

CODEC = Codec()
NOW = 1_800_000_000_000_000
STOP = CODEC.encode(StopServer(server_id="x"))
ENVELOPE = headers(Context(id="c", time=NOW, project_id="p", reply_to="0"), "StopServer", "/t")

texts = some.text(max_size=40) | some.sampled_from(["", "\0", "-1", "9" * 5000, "a\nb", "٣"])
values = some.binary(max_size=60) | some.just(STOP) | some.integers(0, 80).map(lambda n: STOP[:n])
envelopes = some.dictionaries(some.sampled_from(sorted(ENVELOPE)), texts).flatmap(
    lambda odd: some.sampled_from([odd, ENVELOPE | odd])
)


def record(value: bytes, made: dict[str, str]) -> Record:
    return Record("compute.commands", 0, 7, NOW, "key", value, made)


@settings(max_examples=400, deadline=None)
@given(values, envelopes)
def test_nothing_that_is_read_raises(value: bytes, made: dict[str, str]) -> None:
    story = Story("compute")
    done = story.take(record(value, made), NOW)
    assert done.outcome in ("accepted", "refused", "failed")
    written = story.outgoing
    again = story.take(record(value, made), NOW)
    assert again.outcome in ("repeated", done.outcome)
    for out in (*written, *story.outgoing):
        assert "\0" not in out.key
        assert not any("\0" in text for text in out.headers.values())


def test_what_cannot_be_read_is_recorded_in_plain_words() -> None:
    story = Story("compute")
    made = {"ce_id": "a\0b", "ce_type": "chronova.\n\0odd"}
    story.take(record(b"\0\xff", made), NOW)
    (out,) = story.outgoing
    failed = CODEC.decode(out.value)
    assert isinstance(failed, CommandFailed)
    assert failed.command_id == "compute.commands/0@7"
    assert failed.command.endswith("odd") and failed.command.isprintable()


@pytest.mark.parametrize(
    ("value", "made"),
    [
        (b"", {}),
        (b"garbage", stamp_headers({}, EventStamp(1, 1, GENESIS))),
        (STOP, stamp_headers({}, EventStamp(1, 1, GENESIS))),
        (STOP, {"ce_position": "one"}),
    ],
)
def test_garbage_among_the_events_is_never_passed_over(value: bytes, made: dict[str, str]) -> None:
    partition = Partition("compute", 0, CODEC)
    with pytest.raises(ForeignLog, match=r"^compute.commands/0@7 "):
        partition.fold(record(value, made))
    assert partition.position == 0
