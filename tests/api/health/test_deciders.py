"""The deciders' part: what waits in a decider makes it degraded, and says why none answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy

from api.health.checks import DEGRADED, Ill
from api.health.parts import TROUBLES_US, parts
from api.health.pulse import PINGS, Pulse
from events import topics
from events.fleet.heartbeat import CONDUCTOR, Heartbeat
from events.log.contract import Record
from events.log.records import Codec
from projections.fleet.heartbeats import SERVICE_HEARTBEATS, heartbeat_rows
from tests.parts.heartbeats import heartbeat_table

if TYPE_CHECKING:
    from tests.parts.postgres import PostgresServer

UNUSED: Any = None
"""What the part that is asked does not need."""

ILL = "compute.events/1: an event cannot be read"
FOLDED = "compute.events/2 is folded before it decides, 5 of 9 records so far"


@pytest.fixture
def engine(database: PostgresServer) -> Iterator[sqlalchemy.Engine]:
    with heartbeat_table(database.url) as made:
        yield made


def say(engine: sqlalchemy.Engine, *troubles: str, ago_us: int = 0) -> None:
    """Let a decider's heartbeat be followed."""
    beat = Heartbeat(host="h", binary=CONDUCTOR, at=1, started_at=1, troubles=list(troubles))
    at = time.time_ns() // 1000 - ago_us
    record = Record(topics.HEARTBEATS, 0, 0, at, "h", Codec().encode(beat), {})
    with engine.begin() as connection:
        connection.execute(SERVICE_HEARTBEATS.delete())
        connection.execute(SERVICE_HEARTBEATS.insert(), heartbeat_rows([record]))


def answering(*domains: str) -> Pulse:
    pulse = Pulse()
    for domain in domains:
        pulse.decided(f"{domain}.Ping", "accepted", 0.01)
    return pulse


def asked(engine: sqlalchemy.Engine, pulse: Pulse, bus: Any = UNUSED) -> dict[str, Any]:
    return dict(parts(UNUSED, "", engine, bus, pulse)["decider"]())


class Silent:
    """A bus whose deciders do not answer."""

    def send(self, *_: Any) -> None:
        return


def test_what_waits_in_a_decider_makes_it_degraded(engine: sqlalchemy.Engine) -> None:
    pulse = answering(*PINGS)
    say(engine)
    assert DEGRADED not in asked(engine, pulse)
    say(engine, ILL, FOLDED)
    found = asked(engine, pulse)
    assert found[DEGRADED] == f"{CONDUCTOR} on h: {ILL}; {CONDUCTOR} on h: {FOLDED}"
    assert set(found["last_answer_s"]) == set(PINGS)
    say(engine, ILL, ago_us=TROUBLES_US + 1_000_000)
    assert DEGRADED not in asked(engine, pulse), "its decider may be gone"


def test_who_does_not_answer_says_why(engine: sqlalchemy.Engine) -> None:
    """While a long journal was folded all that was said was that nobody answers."""
    pulse = answering("fleet")
    say(engine, FOLDED)
    with pytest.raises(Ill) as told:
        asked(engine, pulse, Silent())
    assert str(told.value) == f"no decider answers for compute; {CONDUCTOR} on h: {FOLDED}"
    assert set(told.value.figures["last_answer_s"]) == {"fleet"}
    say(engine)
    with pytest.raises(Ill) as told:
        asked(engine, pulse, Silent())
    assert str(told.value) == "no decider answers for compute"
