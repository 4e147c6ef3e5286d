"""Heartbeats become rows only where their service wrote them."""

from __future__ import annotations

import msgspec
import pytest

from events import topics
from events.fleet.heartbeat import COMPUTE, CONDUCTOR, Heartbeat
from events.log.contract import Outgoing, Record
from events.log.records import Codec, headers
from events.message import Context
from handlers.heartbeat import heartbeat_record
from projections.fleet.heartbeats import heartbeat_rows
from tests.parts.proofs import checked, proofs_of, taken

CODEC = Codec()


def said(beat: Heartbeat, by: str) -> list[Record]:
    """The heartbeat, with the proof that the host ``by`` can make."""
    made = headers(Context(id="1", time=1), beat.type_name, "/test")
    record = Outgoing(topics.HEARTBEATS, beat.host, CODEC.encode(beat), made)
    named = msgspec.structs.replace(beat, host=by, binary=COMPUTE)
    return taken([proofs_of(by).add(record, named)])


@pytest.mark.parametrize("binary", [COMPUTE, CONDUCTOR])
def test_what_another_host_said_is_no_row(binary: str) -> None:
    """Nor the troubles that it tells of: commands are refused for those."""
    beat = Heartbeat(host="a", binary=binary, at=1, started_at=1, troubles=["all is lost"])
    with checked() as refused:
        assert heartbeat_rows(said(beat, "b")) == []
    assert [topic for topic, _ in refused] == [topics.HEARTBEATS]


def test_what_a_service_said_itself_is() -> None:
    with checked() as refused:
        own = said(Heartbeat(host="a", at=1, started_at=1), "a")
        conductor = Heartbeat(host="a", binary=CONDUCTOR, at=1, started_at=1)
        own += taken([heartbeat_record(CODEC, conductor, "1")])
        rows = heartbeat_rows(own)
    assert [row["binary"] for row in rows] == [COMPUTE, CONDUCTOR]
    assert refused == []
