"""How the members of a Kafka group share partitions: as on every log of ours (``assignment``).

Each member tells what it owned and in which generation of the group; the member that Kafka
makes the leader lets everybody keep what it can. Claims of an older generation than another's
are those of a member that was away and has lost it all: they count for nothing. (kafka-python's
own cooperative assignor believes them, and leaves a partition to nobody.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from kafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from kafka.protocol.consumer.metadata import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
)

from events.log.assignment import assign
from events.log.contract import TopicPartition


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """What a member owned, and since which generation."""

    generation: int = -1
    owned: list[TopicPartition] = []


class BalancedAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """kafka-python's interface to ``assignment.assign``; one for each consumer."""

    name = "chronova-balanced"
    version = 0

    def __init__(self) -> None:
        self._claim = Claim()

    def metadata(self, topics: Sequence[str]) -> Any:
        """What this member tells the leader."""
        return ConsumerProtocolSubscription(
            self.version, sorted(topics), msgspec.msgpack.encode(self._claim)
        )

    def on_assignment(self, assignment: Any, generation: int) -> None:
        """What this member got."""
        owned = [(topic, number) for topic, number in assignment.partitions()]
        self._claim = Claim(generation, owned)

    def assign(self, cluster: Any, members: Sequence[Any]) -> dict[str, Any]:
        """As the leader: what each member gets."""
        ids = sorted(member.member_id for member in members)
        topics = {ids.index(each.member_id): list(each.metadata.topics) for each in members}
        sources = [
            (topic, number)
            for topic in sorted({name for names in topics.values() for name in names})
            for number in cluster.partitions_for_topic(topic) or ()
        ]
        claims = {ids.index(each.member_id): _claim_of(each) for each in members}
        newest = max(claim.generation for claim in claims.values())
        owners = {
            source: member
            for member, claim in claims.items()
            if claim.generation == newest
            for source in claim.owned
        }
        shares: dict[int, dict[str, list[int]]] = {number: {} for number in range(len(ids))}
        for (topic, number), owner in assign(topics, sources, owners).items():
            if owner is not None:
                shares[owner].setdefault(topic, []).append(number)
        return {
            ids[member]: ConsumerProtocolAssignment(self.version, sorted(share.items()), b"")
            for member, share in shares.items()
        }


def _claim_of(member: Any) -> Claim:
    try:
        return msgspec.msgpack.decode(bytes(member.metadata.user_data or b""), type=Claim)
    except msgspec.DecodeError:
        return Claim()
