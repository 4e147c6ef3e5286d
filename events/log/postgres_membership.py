"""Membership of groups: staying in, noticing who died, sharing out the partitions.

A member is a row with a heartbeat and an advisory lock held by its process's listening
connection: a killed process loses the lock at once, a stopped one keeps it but not its
heartbeat. Any live member removes dead ones, and any computes the new assignment; the database
takes the first that still fits. There is no leader to lose.

A member that was removed by mistake (stopped for too long, cut off) finds out at its next
heartbeat and joins again under a new id. What it writes meanwhile its journals refuse, once an
heir has begun a term in them.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from events.log.assignment import assign
from events.log.contract import TopicPartition
from events.log.postgres_connection import Connection

STATEMENT_S = 5.0
SILENT_S_MAX = 300.0
"""A member that has not polled for so long is taken for stuck and no longer kept in."""


class Membership:
    """One member's place in a group. ``identity`` (member id, group id) is None while outside."""

    def __init__(self, group: str, topics: Mapping[str, int], changed: Callable[[], None]) -> None:
        self.group = group
        self.topics = topics
        self.changed = changed
        self.identity: tuple[int, int] | None = None
        self.kept_at = 0.0
        self.used_at = time.monotonic()
        self.leaving = False
        self.left = threading.Event()


class Memberships:
    """All memberships of a process. Used by the listener's thread, which owns the connection."""

    def __init__(self, schema: str, session_s: float) -> None:
        self._schema = schema
        self._session_ms = int(session_s * 1000)
        self._members: list[Membership] = []
        self._seen: dict[int, tuple[int, int]] = {}
        self._locked: set[int] = set()
        self._look = False

    @property
    def pressing(self) -> bool:
        """Whether something is to be done now rather than at the next heartbeat."""
        return self._look or any(
            member.leaving or (member.identity is None and not _silent(member))
            for member in self._members
        )

    def all(self) -> Sequence[Membership]:
        """Those that are kept."""
        return tuple(self._members)

    def add(self, member: Membership) -> None:
        """Keep this one too."""
        self._members = [*self._members, member]

    def leave_all(self) -> None:
        """Mark all as leaving."""
        for member in self._members:
            member.leaving = True

    def look_at(self, group: int) -> None:
        """The group has changed."""
        if any(member.identity and member.identity[1] == group for member in self._members):
            self._look = True

    def reconnected(self) -> None:
        """The connection is a new one: its locks are gone."""
        self._locked.clear()
        self._seen.clear()

    def keep(self, connection: Connection) -> None:
        """Join, leave and stay alive as each membership needs; share out where it is due."""
        self._look = False
        for member in self.all():
            if member.leaving:
                self._leave(connection, member)
            elif _silent(member):
                continue
            elif member.identity is None:
                self._join(connection, member)
            elif member.identity[0] not in self._locked:
                self._lock(connection, member)
        self._beat(connection)

    def _join(self, connection: Connection, member: Membership) -> None:
        number = secrets.randbits(62) + 1
        topics = ",".join(map(str, member.topics.values()))
        name = member.group.replace("'", "''")
        connection.run(f"SELECT pg_advisory_lock({number})", STATEMENT_S)
        self._locked.add(number)
        rows = connection.run(
            f"SELECT {self._schema}.join_group('{name}', {number}, '{{{topics}}}')", STATEMENT_S
        )
        member.identity = (number, rows[0][0])
        member.changed()

    def _lock(self, connection: Connection, member: Membership) -> None:
        """Take the lock again after the connection was lost; if a server that has not noticed
        that yet still holds it, come back as another member."""
        assert member.identity is not None
        number, group = member.identity
        if connection.run(f"SELECT pg_try_advisory_lock({number})", STATEMENT_S)[0][0]:
            self._locked.add(number)
        else:
            self._remove(connection, group, number, None)
            self._forget(connection, member)

    def _leave(self, connection: Connection, member: Membership) -> None:
        if member.identity is not None:
            number, group = member.identity
            self._remove(connection, group, number, None)
            self._forget(connection, member)
        self._members = [other for other in self._members if other is not member]
        member.left.set()

    def _remove(
        self, connection: Connection, group: int, number: int, session_ms: int | None
    ) -> None:
        session = "NULL" if session_ms is None else str(session_ms)
        connection.run(
            f"SELECT {self._schema}.remove_member({group}, {number}, {session})", STATEMENT_S
        )

    def _forget(self, connection: Connection, member: Membership) -> None:
        """The membership is over: the member sees that it owns nothing."""
        assert member.identity is not None
        number, _ = member.identity
        member.identity = None
        if number in self._locked:
            self._locked.discard(number)
            connection.run(f"SELECT pg_advisory_unlock({number})", STATEMENT_S)
        member.changed()

    def _beat(self, connection: Connection) -> None:
        kept = {
            member.identity[0]: member
            for member in self._members
            if member.identity is not None and not _silent(member)
        }
        if not kept:
            return
        rows = connection.run(
            f"SELECT * FROM {self._schema}.beat("
            f"'{{{','.join(map(str, kept))}}}', {self._session_ms})",
            STATEMENT_S,
        )
        for number, group, generation, assigned, dead in rows:
            member = kept.pop(number)
            member.kept_at = time.monotonic()
            for other in dead:
                self._remove(connection, group, other, self._session_ms)
                self._look = True
            if assigned < generation:
                self._share_out(connection, group, generation)
            if self._seen.get(number) != (generation, assigned):
                self._seen[number] = (generation, assigned)
                member.changed()
        for number, member in kept.items():
            self._seen.pop(number, None)
            self._forget(connection, member)

    def _share_out(self, connection: Connection, group: int, generation: int) -> None:
        members = connection.run(
            f"SELECT m.id, ARRAY(SELECT name FROM {self._schema}.topic WHERE id = ANY (m.topics)) "
            f"FROM {self._schema}.member m WHERE m.group_id = {group}",
            STATEMENT_S,
        )
        held = connection.run(
            f"SELECT t.name, p.number, p.id, c.owner FROM {self._schema}.consumer c "
            f"JOIN {self._schema}.partition p ON p.id = c.part "
            f"JOIN {self._schema}.topic t ON t.id = p.topic_id WHERE c.group_id = {group}",
            STATEMENT_S,
        )
        parts: dict[TopicPartition, int] = {(name, n): part for name, n, part, _ in held}
        owners = {(name, n): owner for name, n, _, owner in held if owner is not None}
        result = assign(dict(members), parts, owners)
        given = ",".join("NULL" if owner is None else str(owner) for owner in result.values())
        connection.run(
            f"SELECT {self._schema}.share_out({group}, {generation}, "
            f"'{{{','.join(str(parts[source]) for source in result)}}}', '{{{given}}}')",
            STATEMENT_S,
        )
        self._look = True


def _silent(member: Membership) -> bool:
    return time.monotonic() - member.used_at > SILENT_S_MAX
