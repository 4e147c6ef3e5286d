"""Which member of a group owns which partition: balanced, and moving as little as can be.

Pure and deterministic, so that any member may compute it and the simulation can repeat it.
Invariants: a partition goes only to a member that subscribes to its topic; within a topic, and
then over all topics, no eligible member has two more than another; what need not move stays.
What goes with another partition (``contract.goes_with``) is not counted: it has that one's owner.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from events.log.contract import TopicPartition, goes_with


def assign(
    members: Mapping[int, Collection[str]],
    sources: Collection[TopicPartition],
    owners: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int | None]:
    """The owner of each of ``sources``: ``members`` (id → topics) share them.

    ``owners`` is the present state; unknown owners count as gone. None: nobody wants it.
    """
    all_sources = frozenset(sources)
    following = {one: goes_with(one) for one in sources if goes_with(one) in all_sources - {one}}
    shared = _shared(members, all_sources - following.keys(), owners)
    for source, leader in following.items():
        owner = shared[leader]
        wanted = owner is not None and source[0] in members[owner]
        shared[source] = owner if wanted else None
    return dict(sorted(shared.items()))


def _shared(
    members: Mapping[int, Collection[str]],
    sources: Collection[TopicPartition],
    owners: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int | None]:
    balance = _Balance(members)
    result: dict[TopicPartition, int | None] = dict.fromkeys(sorted(sources))
    for source in result:
        owner = owners.get(source)
        if owner is not None and source[0] in members.get(owner, ()):
            result[source] = owner
            balance.give(source[0], owner)
    for source, owner in result.items():
        if owner is None and (heir := balance.least(source[0])) is not None:
            result[source] = heir
            balance.give(source[0], heir)
    while move := _within_topic(result, balance) or _over_topics(result, balance):
        source, giver, taker = move
        result[source] = taker
        balance.take(source[0], giver)
        balance.give(source[0], taker)
    return result


class _Balance:
    """How many partitions each member has, by topic and in all."""

    def __init__(self, members: Mapping[int, Collection[str]]) -> None:
        self.members = {member: frozenset(topics) for member, topics in sorted(members.items())}
        self.total = dict.fromkeys(self.members, 0)
        self._of_topic: dict[tuple[str, int], int] = {}

    def count(self, topic: str, member: int) -> int:
        return self._of_topic.get((topic, member), 0)

    def give(self, topic: str, member: int) -> None:
        self._of_topic[topic, member] = self.count(topic, member) + 1
        self.total[member] += 1

    def take(self, topic: str, member: int) -> None:
        self._of_topic[topic, member] -= 1
        self.total[member] -= 1

    def least(self, topic: str) -> int | None:
        eligible = [member for member, topics in self.members.items() if topic in topics]
        return min(
            eligible,
            key=lambda member: (self.count(topic, member), self.total[member], member),
            default=None,
        )


_Move = tuple[TopicPartition, int, int]


def _within_topic(result: Mapping[TopicPartition, int | None], balance: _Balance) -> _Move | None:
    """A move that evens out one topic, from the member that has most of it."""
    for source, giver in reversed(tuple(result.items())):
        taker = balance.least(source[0])
        if giver is None or taker is None:
            continue
        most = max(balance.count(source[0], member) for member in balance.members)
        have = balance.count(source[0], giver)
        if have == most and have - balance.count(source[0], taker) > 1:
            return source, giver, taker
    return None


def _over_topics(result: Mapping[TopicPartition, int | None], balance: _Balance) -> _Move | None:
    """A move that evens out the totals and leaves its topic as even as it was."""
    for source, giver in reversed(tuple(result.items())):
        if giver is None:
            continue
        topic = source[0]
        for taker, topics in balance.members.items():
            if (
                topic in topics
                and balance.total[giver] - balance.total[taker] > 1
                and balance.count(topic, giver) > balance.count(topic, taker)
            ):
                return source, giver, taker
    return None
