"""What the servers hear of the scheduler's decisions."""

from __future__ import annotations

import handlers.reactions
from commands.compute.boot import FailPlacement, SelectHost
from events.compute.server import facts as f
from handlers.reaction import Send, follows_of
from tests.commands.fleet.fleet import PROJECT, Fleet, place, register

assert handlers.reactions


def test_a_claim_selects_the_host() -> None:
    fleet = Fleet().when(register("a"), register("b")).when(place("s1", generation=3))
    (claim,) = fleet.last.events
    assert list(follows_of(claim, fleet.host("a"))) == [
        Send(
            SelectHost(
                server_id="s1",
                project_id=PROJECT,
                generation=3,
                host="a",
                node="a.example",
                alternates=["b"],
                availability_zone="nova",
                claimed_at=fleet.clock,
            ),
            key=PROJECT,
        )
    ]


def test_a_refusal_fails_each_server() -> None:
    fleet = Fleet().when(register("a")).when(place("s1", "s2", vcpus=5))
    (refusal,) = fleet.last.events
    assert list(follows_of(refusal, fleet.get("shard", "default"))) == [
        Send(
            FailPlacement(
                server_id=server_id,
                project_id=PROJECT,
                generation=1,
                reason="No valid host was found. Capacity passed none of 1 hosts (1 in all).",
                hosts_total=1,
                filtered=[f.FilterCount(filter="Capacity", hosts=0)],
            ),
            key=PROJECT,
        )
        for server_id in ("s1", "s2")
    ]
