"""The worker: consumes partitions it owns and writes what follows, exactly once.

What it owns is what the ``consumer`` table says; a copy with the epochs is kept here and read
anew when the listener says that the group has changed. The copy may be out of date, the write
checks the epochs in the database. A crash anywhere leaves the last committed write; the next
owner goes on at its offsets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from events.log.contract import Fenced, LogUnavailable, Outgoing, Polled, TopicPartition
from events.log.postgres_batch import Moved
from events.log.postgres_connection import Pool
from events.log.postgres_listener import Listener, Watch
from events.log.postgres_membership import Membership
from events.log.postgres_reader import Feed, retry

Write = Callable[[Sequence[Outgoing], int, list[Moved]], None]
"""Writes records and moves a group's offsets: records, group id, what is moved."""

LEAVE_S = 3.0


class PostgresWorker:
    """``contract.Worker``; ``membership`` None: a fixed one, whose ``identity`` never changes."""

    def __init__(
        self,
        pool: Pool,
        schema: str,
        listener: Listener,
        watch: Watch,
        sources: Mapping[int, TopicPartition],
        write: Write,
        statement_s: float,
        *,
        membership: Membership | None = None,
        identity: tuple[int, int] | None = None,
        session_s: float,
    ) -> None:
        self._pool = pool
        self._schema = schema
        self._listener = listener
        self._watch = watch
        self._sources = sources
        self._parts = {source: part for part, source in sources.items()}
        self._write = write
        self._statement_s = statement_s
        self._membership = membership
        self._identity = identity
        self._session_s = session_s
        self._feed = Feed(pool, listener, watch, statement_s)
        self._epochs: dict[int, int] = {}
        self._starts: dict[int, int] = {}
        self._rewinding = False
        self._closed = False
        self._fenced = False
        watch.group_changed = True

    def poll(self, timeout_s: float, records_max: int = 500) -> Polled:
        """See the contract. Raises ``LogUnavailable`` when the log was away all the time."""
        deadline = time.monotonic() + timeout_s
        self._check_usable()
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

    def ready(self, source: TopicPartition) -> None:
        """See the contract. A source that is not owned (any more) is ignored."""
        part = self._parts[source]
        start = self._starts.pop(part, None)
        if start is not None:
            self._feed.follow(part, source, start)

    def transact(self, records: Sequence[Outgoing], offsets: Mapping[TopicPartition, int]) -> None:
        """See the contract. With no ``offsets`` all owned partitions must still be its own."""
        self._check_usable()
        owner = self._owner()
        missing = [source for source in offsets if self._parts.get(source) not in self._epochs]
        if owner is None or missing or not self._epochs:
            self._watch.group_changed = True
            raise Fenced(f"the worker does not own {missing or 'any partition'}")
        if offsets:
            moved = [
                Moved(self._parts[source], self._epochs[self._parts[source]], offset)
                for source, offset in offsets.items()
            ]
        else:
            moved = [Moved(part, epoch, None) for part, epoch in self._epochs.items()]
        try:
            self._write(records, owner[1], moved)
        except Fenced:
            self._watch.group_changed = True
            raise

    def rewind(self) -> None:
        """See the contract. Raises ``LogUnavailable`` if that cannot be made sure of now; the
        next ``poll`` does it then, before anything else."""
        self._rewinding = True
        self._check_usable()
        self._settle()

    def wake(self) -> None:
        """See the contract."""
        self._watch.wake()

    def close(self) -> None:
        """See the contract."""
        if self._closed:
            return
        self._closed = True
        self._listener.remove(self._watch)
        if self._membership is not None:
            self._listener.leave(self._membership, LEAVE_S)

    def _check_usable(self) -> None:
        if self._closed:
            raise LogUnavailable("the worker has been closed")
        if self._fenced:
            raise Fenced("a later worker of this name has taken its partitions")
        if self._membership is not None:
            self._membership.used_at = time.monotonic()

    def _owner(self) -> tuple[int, int] | None:
        return self._membership.identity if self._membership is not None else self._identity

    def _settle(self) -> None:
        owner = self._owner()
        if owner is not None:
            number, group = owner
            self._pool.run(f"SELECT {self._schema}.settle({group}, {number})", self._statement_s)
        self._rewinding = False
        self._watch.group_changed = True

    def _changes(self) -> Polled | None:
        """What is owned now but was not, and the reverse; None if nothing changed."""
        if self._rewinding:
            self._settle()
        if not self._watch.group_changed and not self._unheard():
            return None
        self._watch.group_changed = False
        try:
            held = self._held()
        except LogUnavailable:
            self._watch.group_changed = True
            raise
        revoked = [
            part for part, epoch in self._epochs.items() if held.get(part, (-1,))[0] != epoch
        ]
        assigned = [part for part in held if part in revoked or part not in self._epochs]
        if self._membership is None and not held:
            self._fenced = True
            self._check_usable()
        for part in revoked:
            self._feed.drop(part)
            self._starts.pop(part, None)
        for part in assigned:
            self._starts[part] = held[part][1]
        self._epochs = {part: epoch for part, (epoch, _) in held.items()}
        if not revoked and not assigned:
            return None
        return Polled(
            (),
            assigned=[self._sources[part] for part in assigned],
            revoked=[self._sources[part] for part in revoked],
        )

    def _unheard(self) -> bool:
        """Whether the membership may have ended without our noticing, as after a long stop."""
        member = self._membership
        return (
            member is not None
            and bool(self._epochs)
            and time.monotonic() - member.kept_at > self._session_s
        )

    def _held(self) -> dict[int, tuple[int, int]]:
        owner = self._owner()
        if owner is None:
            return {}
        number, group = owner
        rows = self._pool.run(
            f"SELECT part, epoch, next_offset FROM {self._schema}.consumer "
            f"WHERE group_id = {group} AND owner = {number} ORDER BY part",
            self._statement_s,
        )
        return {part: (epoch, offset) for part, epoch, offset in rows}
