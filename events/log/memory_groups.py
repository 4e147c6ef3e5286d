"""Groups of the log in memory: who owns which partition.

Membership changes take effect at once, in the call that makes them; each member finds out at
its next ``poll``. An epoch rises with each owner of a partition, so that who lost one and got it
back notices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from events.log.assignment import assign
from events.log.contract import TopicPartition


class Held(msgspec.Struct):
    """A group's state of one partition."""

    owner: int | None = None
    epoch: int = 0


class Groups:
    """All groups of a cluster. Member ids count up, so runs repeat exactly."""

    def __init__(self, partitions: Callable[[str], int]) -> None:
        self._partitions = partitions
        self._members: dict[str, dict[int, frozenset[str]]] = {}
        self._held: dict[str, dict[TopicPartition, Held]] = {}
        self._last_member = 0

    def join(self, group: str, topics: Sequence[str]) -> int:
        """A new member's id; the partitions are shared out anew."""
        self._last_member += 1
        self._members.setdefault(group, {})[self._last_member] = frozenset(topics)
        held = self._held.setdefault(group, {})
        for topic in topics:
            for number in range(self._partitions(topic)):
                held.setdefault((topic, number), Held())
        self._share_out(group)
        return self._last_member

    def leave(self, group: str, member: int) -> None:
        """A member goes, if it is one; the others share its partitions."""
        if self._members.get(group, {}).pop(member, None) is not None:
            self._share_out(group)

    def is_member(self, group: str, member: int) -> bool:
        """Whether it has not been expelled."""
        return member in self._members.get(group, {})

    def of(self, group: str, owner: int) -> dict[TopicPartition, Held]:
        """What a member owns."""
        held = self._held.get(group, {})
        return {source: one for source, one in held.items() if one.owner == owner}

    def _share_out(self, group: str) -> None:
        held = self._held[group]
        owners = {source: one.owner for source, one in held.items() if one.owner is not None}
        for source, owner in assign(self._members[group], held, owners).items():
            self._give(held[source], owner)

    def _give(self, one: Held, owner: int | None) -> None:
        if one.owner != owner:
            one.owner = owner
            one.epoch += 1
