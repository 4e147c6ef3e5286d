"""Heartbeats in the name of another host: the fleet's decider is not told of them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from events import topics
from events.fleet.heartbeat import Heartbeat
from events.log.contract import Outgoing
from events.log.records import headers
from events.message import Context
from tests.commands.fleet.fleet import register
from tests.handlers import test_scheduler
from tests.parts.proofs import checked, own_key, proofs_of


class Site(test_scheduler.Site):
    """Whose hosts prove what they say."""

    def say(self, name: str, by: str, *, machine: int = 1, ending: bool = False) -> None:
        """A heartbeat of that host, with the proof that the machine ``by`` can make."""
        beat = Heartbeat(host=name, at=self.micros(), started_at=0, ending=ending)
        made = headers(Context(id=next(self.ids), time=0), beat.type_name, "/test")
        record = Outgoing(topics.HEARTBEATS, name, self.codec.encode(beat), made)
        prover = msgspec.structs.replace(beat, host=by)
        self.log.append([proofs_of(by, machine=machine).add(record, prover)])


@pytest.fixture
def refused() -> Iterator[list[tuple[str, str]]]:
    with checked() as refused:
        yield refused


def test_a_host_keeps_no_other_one_up(refused: list[tuple[str, str]]) -> None:
    site = Site("a", "b")
    went: list[str] = []
    for second in range(70):
        if second % 10 == 0:
            site.say("b", "b")
            site.say("a", "b")
        went += site.pass_time(1)
    assert went == ["ServiceWentDown a"]
    assert {topic for topic, _ in refused} == {topics.HEARTBEATS} and len(refused) == 7


def test_a_host_calls_no_other_one_down(refused: list[tuple[str, str]]) -> None:
    site = Site("a", "b")
    site.pass_time(1)
    site.say("a", "b", ending=True)
    assert site.pass_time(30) == []
    site.say("a", "a", ending=True)
    assert site.pass_time(30) == ["ServiceWentDown a"]


def test_a_host_that_was_removed_does_not_speak_for_its_successor(
    refused: list[tuple[str, str]],
) -> None:
    site = Site()
    site.fleet.when(msgspec.structs.replace(register("a"), public_key=own_key("a", 2).public))
    site.pass_time(1)
    site.say("a", "a", machine=1, ending=True)
    assert site.pass_time(30) == []
    assert "another machine" in refused[0][1]
    site.say("a", "a", machine=2, ending=True)
    assert site.pass_time(30) == ["ServiceWentDown a"]
