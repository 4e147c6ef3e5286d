"""A member of a group on the Postgres log: what it owns, and the records of what it follows.

What it owns is what the ``consumer`` table says; a copy is kept here and read again when the
listener says that the group has changed. The copy may be out of date: ownership only says who
should write, the journals' terms are the guard. A crash anywhere leaves nothing to clean up but
the membership, which the other members end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from events.log.contract import LogUnavailable, Polled, TopicPartition
from events.log.postgres_connection import Pool
from events.log.postgres_listener import Listener, Watch
from events.log.postgres_membership import Membership
from events.log.postgres_reader import Feed, retry

LEAVE_S = 3.0


class PostgresMember:
    """``contract.Member``. ``sources`` are all partitions of its topics, by id."""

    def __init__(
        self,
        pool: Pool,
        schema: str,
        listener: Listener,
        watch: Watch,
        membership: Membership,
        sources: Mapping[int, TopicPartition],
        statement_s: float,
        session_s: float,
    ) -> None:
        self._pool = pool
        self._schema = schema
        self._listener = listener
        self._watch = watch
        self._membership = membership
        self._sources = sources
        self._parts = {source: part for part, source in sources.items()}
        self._statement_s = statement_s
        self._session_s = session_s
        self._feed = Feed(pool, listener, watch, statement_s)
        self._identity: tuple[int, int] | None = None
        self._owned: list[int] = []
        self._joined = False
        self._closed = False

    def poll(self, timeout_s: float, records_max: int = 500) -> Polled:
        """See the contract. Raises ``LogUnavailable`` when the log was away all the time."""
        deadline = time.monotonic() + timeout_s
        self._stay()
        while True:
            self._watch.bell.clear()
            try:
                changes = self._changes()
                records = [] if changes else self._feed.fetch(records_max)
            except LogUnavailable:
                if not retry(self._watch, deadline):
                    raise
                continue
            if changes or records or self._watch.woken or not self._feed.wait(deadline):
                self._watch.woken = False
                return changes or Polled(records)

    def follow(self, source: TopicPartition, offset: int) -> None:
        """See the contract."""
        part = self._parts.get(source)
        if part in self._owned:
            self._feed.follow(part, source, max(0, offset))

    def wake(self) -> None:
        """See the contract."""
        self._watch.wake()

    def close(self) -> None:
        """See the contract."""
        if self._closed:
            return
        self._closed = True
        if self._joined:
            self._listener.remove(self._watch)
            self._listener.leave(self._membership, LEAVE_S)

    def _stay(self) -> None:
        """Join the group, or show that this member is not stuck."""
        if self._closed:
            raise LogUnavailable("the member has been closed")
        self._membership.used_at = time.monotonic()
        if not self._joined:
            self._listener.add(self._watch)
            self._listener.join(self._membership)
            self._joined = True

    def _changes(self) -> Polled | None:
        """Return what is owned now but was not and the reverse; None if nothing changed."""
        if not self._watch.group_changed and not self._unheard():
            return None
        self._watch.group_changed = False
        identity = self._membership.identity
        try:
            held = self._held(identity)
        except LogUnavailable:
            self._watch.group_changed = True
            raise
        # Another identity: it was expelled for a time, in which anybody may have owned these.
        kept = self._owned if identity == self._identity else []
        revoked = [part for part in self._owned if part not in kept or part not in held]
        assigned = [part for part in held if part not in kept]
        for part in revoked:
            self._feed.drop(part)
        self._owned, self._identity = held, identity
        if not revoked and not assigned:
            return None
        return Polled(
            (),
            assigned=[self._sources[part] for part in assigned],
            revoked=[self._sources[part] for part in revoked],
        )

    def _unheard(self) -> bool:
        """Say whether the membership may have ended unnoticed, as after a long stop."""
        silent_s = time.monotonic() - self._membership.kept_at
        return bool(self._owned) and silent_s > self._session_s

    def _held(self, identity: tuple[int, int] | None) -> list[int]:
        if identity is None:
            return []
        number, group = identity
        rows = self._pool.run(
            f"SELECT part FROM {self._schema}.consumer "
            f"WHERE group_id = {group} AND owner = {number} ORDER BY part",
            self._statement_s,
        )
        return [part for (part,) in rows]
