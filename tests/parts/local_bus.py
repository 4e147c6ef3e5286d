"""A whole control plane in one thread: the real deciders, folds, reactions and rows, no log.

``LocalBus.send`` decides with ``commands.decision.DECIDERS``, encodes and decodes every message
as the log would, folds the events, upserts the rows of ``projections.table.PROJECTED`` into a
real Postgres and follows the reactions, all before it returns. API tests thus run on what
the deciders really decide, and need no broker.

States are kept by partition, as a decider keeps them: what lies in another partition is not
to be seen. ``records`` holds every message's bytes, so a test can look for secrets in them.

Use: import the domain packages that are to take part (``import commands.identity,
projections.identity``), ``with store(database.url) as engine: bus = LocalBus(engine)``.
"""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.dialects.postgresql import insert

from api.bus import Actor, Refused
from commands.decision import DECIDERS, Decider, Decision
from events.aggregate import AGGREGATES, Aggregate, folds_of
from events.log.contract import partition_of
from events.log.records import Codec
from events.message import MESSAGES, Command, Event
from events.state_codec import encode_state
from events.topics import FLEET_SHARDS, PARTITIONS
from handlers.indexes import Indexes
from handlers.reaction import Dispatch, follows_of
from projections.table import METADATA, PROJECTED
from schemas.catalog import Catalog, Version, id_of, namespace_of
from schemas.derive import derive

FOLLOWS_MAX = 10_000
"""Commands that may follow from one: more means that reactions go round in a circle."""

Key = tuple[str, str]
Place = tuple[str, int]
"""A domain and the number of one of its partitions."""

Recorded = TypeVar("Recorded", Command, Event)


def now() -> int:
    """The wall clock, in microseconds since 1970."""
    return time.time_ns() // 1000


class NoDecider(LookupError):
    """No imported package decides that command."""


def place_of(domain: str, key: str) -> Place:
    """The partition that ``key`` belongs to."""
    return domain, partition_of(key, FLEET_SHARDS if domain == "fleet" else PARTITIONS)


@contextmanager
def store(url: str) -> Iterator[Engine]:
    """An engine on a schema of its own with all imported packages' tables; dropped at the end."""
    schema = f"local_{uuid.uuid4().hex[:12]}"
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg2"),
        pool_size=10,
        max_overflow=0,
        pool_pre_ping=True,  # the server may have been restarted by a test meanwhile
    )

    @event.listens_for(engine, "connect")
    def choose_schema(connection: Any, record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET search_path TO {schema}")
        connection.commit()

    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
        METADATA.create_all(connection)
    try:
        yield engine
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        engine.dispose()


class Partition:
    """What one decider holds: the live states of one partition (a ``View``)."""

    level = 1

    def __init__(self) -> None:
        self.states: dict[str, dict[str, Any]] = {}
        self._indexes = Indexes(self.states)

    def get(self, aggregate: str, id: str) -> Any:
        """The state, or None."""
        return self.states.get(aggregate, {}).get(id)

    def all(self, aggregate: str) -> Mapping[str, Any]:
        """Every live state of that kind."""
        return self.states.get(aggregate, {})

    def index(self, name: str) -> Any:
        """An index of the live states."""
        return self._indexes.get(name)

    def changed(self, aggregate: str) -> Mapping[str, Any | None]:
        """Nothing: all that was decided is committed."""
        return {}

    def fold(self, aggregate: Aggregate, id: str, happened: Event) -> None:
        """Evolve one aggregate; forget it when it is gone."""
        states = self.states.setdefault(aggregate.name, {})
        before = states.get(id)
        states[id] = aggregate.evolve(before, happened)
        if aggregate.gone(states[id]):
            del states[id]
        self._indexes.replace(aggregate.name, id, before, states.get(id))


class LocalBus:
    """An ``api.bus.Bus``. Thread-safe: one command at a time.

    ``clock`` gives the moment of each decision, in microseconds since 1970.
    """

    def __init__(self, engine: Engine, clock: Callable[[], int] = now) -> None:
        self.engine = engine
        self.events: list[Event] = []
        """Every event, in order."""
        self.commands: list[Command] = []
        """Every command that was decided, in order, follow-ups included."""
        self.dispatched: list[Dispatch] = []
        """Work for hosts; nobody does it here."""
        self.unhandled: list[Command] = []
        """Follow-up commands that no imported package decides."""
        self.records: list[bytes] = []
        """Every command and event as bytes of the log."""
        self._clock = clock
        self._partitions: dict[Place, Partition] = {}
        self._projected: dict[Key, Any] = {}
        self._sequences: dict[Key, int] = {}
        self._codec = _ClassCodec()
        self._lock = threading.RLock()

    def send(self, command: Command, key: str, actor: Actor | None = None) -> None:
        """Decide, fold, project, follow the reactions. Raises ``Refused``, ``NoDecider``."""
        with self._lock:
            if command.type_name not in DECIDERS:
                raise NoDecider(command.type_name)
            begin = (command, place_of(command.type_domain, key))
            if (refusal := self._run(begin, self._clock())) is not None:
                raise refusal

    def partition(self, domain: str, key: str) -> Partition:
        """The decider's state that ``key`` belongs to."""
        return self._partitions.setdefault(place_of(domain, key), Partition())

    def pass_time(self, now: int) -> int:
        """Send the command of every deadline up to ``now``; how many there were."""
        with self._lock:
            due = [
                (domain, number, aggregate, id)
                for (domain, number), partition in self._partitions.items()
                for aggregate in AGGREGATES.values()
                if aggregate.deadline is not None
                for id, state in partition.all(aggregate.name).items()
                if (at := aggregate.deadline(state)) is not None and at <= now
            ]
            for domain, number, aggregate, id in due:
                state = self._partitions[domain, number].get(aggregate.name, id)
                if state is not None and aggregate.overdue is not None:
                    self._run((aggregate.overdue(state), (domain, number)), now)
            return len(due)

    def _run(self, begin: tuple[Command, Place], at: int) -> Refused | None:
        """Decide a command and all that follows; its own refusal, if it was refused."""
        queue = deque([begin])
        refused: Refused | None = None
        for count in itertools.count():
            if not queue:
                return refused
            if count > FOLLOWS_MAX:
                raise RuntimeError(f"more than {FOLLOWS_MAX} commands follow from {begin[0]}")
            command, where = queue.popleft()
            partition = self._partitions.setdefault(where, Partition())
            decision = self._decision(command, partition, at)
            if decision.refusal is not None and count == 0:
                r = decision.refusal
                refused = Refused(r.status, r.code, r.detail)
            queue.extend(self._apply(decision.events, partition))
        return refused

    def _decision(self, command: Command, partition: Partition, at: int) -> Decision:
        command = self._as_recorded(command)
        self.commands.append(command)
        decider: Decider = DECIDERS[command.type_name]
        if decider.aggregate is None or decider.key is None:
            return decider.decide(partition, command, at)
        state = partition.get(decider.aggregate, getattr(command, decider.key))
        return decider.decide(state, command, at)

    def _apply(
        self, events: tuple[Event, ...], partition: Partition
    ) -> Iterator[tuple[Command, Place]]:
        """Fold and project the events; the commands that follow, with their partitions."""
        with self.engine.begin() as connection:
            for decided in events:
                happened = self._as_recorded(decided)
                self.events.append(happened)
                for aggregate, id in folds_of(happened):
                    partition.fold(aggregate, id, happened)
                    self._project(connection, aggregate, id, happened)
                yield from self._follow(happened)

    def _follow(self, happened: Event) -> Iterator[tuple[Command, Place]]:
        subject = self._projected.get(happened.subject) if happened.folds else None
        for follow in follows_of(happened, subject):
            if isinstance(follow, Dispatch):
                self.dispatched.append(follow)
            elif follow.command.type_name not in DECIDERS:
                self.unhandled.append(self._as_recorded(follow.command))
            else:
                yield follow.command, place_of(follow.command.type_domain, follow.key)

    def _project(
        self, connection: Connection, aggregate: Aggregate, id: str, happened: Event
    ) -> None:
        key = (aggregate.name, id)
        state = aggregate.evolve(self._projected.get(key), happened)
        self._projected[key] = state
        self._sequences[key] = self._sequences.get(key, 0) + 1
        projected = PROJECTED.get(aggregate.name)
        if projected is None:
            return
        row = {
            **projected.row(state),
            "id": id,
            "state": encode_state(state),
            "sequence": self._sequences[key],
        }
        upsert = insert(projected.table).values(row)
        connection.execute(
            upsert.on_conflict_do_update(
                index_elements=["id"], set_={c: upsert.excluded[c] for c in row if c != "id"}
            )
        )

    def _as_recorded(self, message: Recorded) -> Recorded:
        value = self._codec.encode(message)
        self.records.append(value)
        decoded: Recorded = self._codec.decode(value)
        return decoded


class _ClassCodec:
    """The codec over the classes as they are now, committed or not."""

    def __init__(self) -> None:
        self._codec = Codec(Catalog([]))
        self._known = 0

    def encode(self, message: Command | Event) -> bytes:
        self._refresh()
        return self._codec.encode(message)

    def decode(self, value: bytes) -> Any:
        return self._codec.decode(value)

    def _refresh(self) -> None:
        if self._known != len(MESSAGES):
            self._known = len(MESSAGES)
            self._codec = Codec(
                Catalog(
                    [
                        Version(name, 1, id_of(name, 1), derive(cls, namespace_of(name)))
                        for name, cls in MESSAGES.items()
                    ]
                )
            )
