"""One partition of one domain in memory: the fold of its events, and decisions on it.

A command is decided whole or not at all: its events are folded and its reactions asked on a
copy of what it touches; only then the partition takes them over. What is decided is not yet
true: it is when the runner's transaction commits; if that fails, the runner drops the
partition and folds it anew from what the log holds.

Nothing here knows a log, a thread or a clock.
"""

from __future__ import annotations

import hashlib
import heapq
import traceback
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from commands.decision import DECIDERS, Decision, Refusal
from events import topics
from events.aggregate import AGGREGATES, folds_of
from events.log.contract import Outgoing, Record
from events.log.records import (
    GENESIS,
    BadRecord,
    Codec,
    EventStamp,
    chain_hash,
    headers,
    stamp_headers,
    stamp_of,
)
from events.message import Command, Context, Event, UnknownMessage
from events.outcome import CommandFailed, CommandRefused, Reply
from handlers.envelope import envelope_of
from handlers.indexes import Indexes
from handlers.reaction import Dispatch, Send, follows_of
from schemas.catalog import UnknownSchema

REMEMBERED_MAX = 5_000
"""Commands remembered by id in a partition: a redelivered one is answered, not decided, again.
Redeliveries come within seconds; at 300 commands a second this is the last 16 s."""

ENVELOPE_BYTES_MAX = 32 * 1024
"""Key and headers of a record take less (``events.log.records.ENVELOPE_CHARS_MAX``)."""

Key = tuple[str, str]


class Remembered(msgspec.Struct, frozen=True, gc=False):
    """How a command ended: where its last event stands, and the refusal if it was one."""

    position: int
    status: int = 0
    code: str = ""
    detail: str = ""


class ForeignLog(Exception):
    """The events of this partition do not follow each other: not the log this was folded from."""


class Decided(msgspec.Struct):
    """What one command led to: records to write, and how it ended (for the counters)."""

    outgoing: list[Outgoing]
    type_name: str
    outcome: str
    events: int = 0
    waited_s: float = 0.0
    """From the command's append to its decision; the runner's to fill in."""


class _Staged:
    """A view of the partition with one command's changes on top."""

    def __init__(self, partition: Partition) -> None:
        self._base = partition
        self.states: dict[Key, Any] = {}
        self.sequences: dict[Key, int] = {}

    def get(self, aggregate: str, id: str) -> Any:
        key = (aggregate, id)
        if key in self.states:
            return self.states[key]
        return self._base.states[aggregate].get(id)

    def all(self, aggregate: str) -> Mapping[str, Any]:
        return self._base.states[aggregate]

    def index(self, name: str) -> Any:
        return self._base.indexes.get(name)

    def changed(self, aggregate: str) -> Mapping[str, Any | None]:
        return {}  # each decision is taken over before the next one is asked for

    def fold(self, event: Event) -> None:
        for aggregate, id in folds_of(event):
            self.states[aggregate.name, id] = aggregate.evolve(self.get(aggregate.name, id), event)

    def next_sequence(self, key: Key) -> int:
        known = self.sequences.get(key, self._base.sequences.get(key, 0))
        self.sequences[key] = known + 1
        return known + 1


class Partition:
    """The state of partition ``number`` of ``domain``: every live aggregate by kind and id."""

    def __init__(self, domain: str, number: int, codec: Codec, log_id: str = "") -> None:
        self.domain = domain
        self.number = number
        self.position = 0
        self.hash = GENESIS
        self.offset = 0
        """Where a reader of the events goes on after what is folded."""
        self.states: dict[str, dict[str, Any]] = {
            a.name: {} for a in AGGREGATES.values() if a.domain == domain
        }
        self.sequences: dict[Key, int] = {}
        self.remembered: OrderedDict[str, Remembered] = OrderedDict()
        self._codec = codec
        self._topic = topics.events(domain)
        self._source = f"/chronova/{self._topic}/{number}"
        self._deadlines: list[tuple[int, Key]] = []
        self.indexes = Indexes(self.states)

    # ------------------------------------------------------------ folding

    def fold(self, record: Record) -> None:
        """Fold one event as read from the log. Raises ``ForeignLog``."""
        stamp, event = self._read(record)
        if stamp.position != self.position + 1 or stamp.previous_hash != self.hash:
            raise ForeignLog(
                f"{record.topic}/{record.partition}@{record.offset} is event {stamp.position},"
                f" which does not follow event {self.position} of the state"
            )
        self.position = stamp.position
        self.hash = chain_hash(record.key, record.value, record.headers)
        self.offset = record.offset + 1
        staged = _Staged(self)
        staged.fold(event)
        if event.folds:
            staged.sequences[event.subject] = stamp.sequence
        self._take(staged)
        self._remember(record.headers.get("ce_causationid", ""), event, stamp.position)

    def _read(self, record: Record) -> tuple[EventStamp, Event]:
        try:
            stamp, event = stamp_of(record), self._codec.decode(record.value)
        except (BadRecord, UnknownMessage, UnknownSchema) as error:
            raise ForeignLog(
                f"{record.topic}/{record.partition}@{record.offset} is no event that this version"
                f" of Chronova can read, and without it the state would be wrong: {error}"
            ) from error
        if not isinstance(event, Event):
            raise ForeignLog(
                f"{record.topic}/{record.partition}@{record.offset} is a {event.type_name},"
                " which is no event"
            )
        return stamp, event

    def index_deadlines(self) -> None:
        """After a load: find every deadline there is, and make indexes of what is there now."""
        self.indexes.forget()
        for name, states in self.states.items():
            for id, state in states.items():
                self._note_deadline((name, id), state)

    def _take(self, staged: _Staged) -> None:
        for key, sequence in staged.sequences.items():
            self.sequences[key] = sequence
        for key, state in staged.states.items():
            name, id = key
            before = self.states[name].get(id)
            if state is None or AGGREGATES[name].gone(state):
                self.states[name].pop(id, None)
                self.sequences.pop(key, None)
            else:
                self.states[name][id] = state
                self._note_deadline(key, state)
            self.indexes.replace(name, id, before, self.states[name].get(id))

    def _remember(self, command_id: str, event: Event, position: int) -> None:
        if isinstance(event, CommandRefused):
            known = Remembered(position, event.status, event.code, event.detail)
        elif isinstance(event, CommandFailed):
            known = _failure(position)
        else:
            known = Remembered(position)
        self._memorize(command_id, known)

    def _memorize(self, command_id: str, known: Remembered) -> None:
        self.remembered[command_id] = known
        self.remembered.move_to_end(command_id)
        while len(self.remembered) > REMEMBERED_MAX:
            self.remembered.popitem(last=False)

    # ---------------------------------------------------------- deadlines

    def _note_deadline(self, key: Key, state: Any) -> None:
        deadline_of = AGGREGATES[key[0]].deadline
        deadline = deadline_of(state) if deadline_of else None
        if deadline is not None:
            heapq.heappush(self._deadlines, (deadline, key))

    def next_deadline(self) -> int | None:
        """The moment (microseconds) of the earliest deadline that may still hold."""
        return self._deadlines[0][0] if self._deadlines else None

    def overdue(self, now: int) -> Iterator[Outgoing]:
        """Commands to this partition for each deadline that has passed, each once."""
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, key = heapq.heappop(self._deadlines)
            if self._deadlines and self._deadlines[0] == (deadline, key):
                continue  # noted again by a later fact that left it as it was
            aggregate = AGGREGATES[key[0]]
            state = self.states[key[0]].get(key[1])
            if state is None or aggregate.deadline is None or aggregate.overdue is None:
                continue
            if aggregate.deadline(state) != deadline:
                continue
            command = aggregate.overdue(state)
            context = Context(id=f"overdue:{key[0]}/{key[1]}@{deadline}", time=now)
            yield Outgoing(
                topic=topics.commands(self.domain),
                key=key[1],
                value=self._codec.encode(command),
                headers=headers(context, command.type_name, self._source, "/".join(key)),
                partition=self.number,
            )

    # ----------------------------------------------------------- deciding

    def decide(self, record: Record, now: int, bytes_max: int, *, early: bool = False) -> Decided:
        """Decide one command. Never raises for what a record holds: a record that cannot be
        read, or a decision that goes wrong, becomes a recorded ``CommandFailed``. ``early``: its
        record is yet to be read, and then not to be decided again, even if nothing happened."""
        type_name = _printable(record.headers.get("ce_type", "?").removeprefix("chronova."))
        reported = record.topic == topics.reports(self.domain)
        context = envelope_of(record, now, type_name, reported)
        if context.id in self.remembered:
            reply = self._reply(context, self.remembered[context.id], now)
            return Decided(reply, "", "repeated")
        try:
            command = self._codec.decode(record.value)
            if not isinstance(command, Command) or command.type_domain != self.domain:
                raise BadRecord(f"{type_name} is not a command of {self.domain}")
            if reported and not command.from_hosts:
                raise BadRecord(f"{type_name} is not for a host to send")
            done = self._decided(command, context, now, bytes_max)
        except Exception as error:  # noqa: BLE001 - recorded as CommandFailed, nothing is lost
            done = self._failed(type_name, context, now, error)
        if early and not done.events:
            self._memorize(context.id, Remembered(self.position))
        return done

    def _decided(self, command: Command, context: Context, now: int, bytes_max: int) -> Decided:
        staged = _Staged(self)
        # Not the sender's time: a command may have waited, or its sender's clock be wrong, and
        # a deadline counted from then would have passed before the work began.
        decision = self._asked(command, now, staged)
        if decision.refusal is not None:
            return self._refused(command.type_name, context, now, decision.refusal)
        writer = _Writer(self, context, now)
        for event in decision.events:
            staged.fold(event)
            writer.event(event, staged)
        if any(len(out.value) + ENVELOPE_BYTES_MAX > bytes_max for out in writer.outgoing):
            refusal = Refusal(413, "overLimit", "The request is larger than the log accepts.")
            return self._refused(command.type_name, context, now, refusal)
        self._take(staged)
        return self._done(writer, command.type_name, "accepted", Remembered(writer.position))

    def _asked(self, command: Command, at: int, staged: _Staged) -> Decision:
        decider = DECIDERS.get(command.type_name)
        if decider is None:
            raise BadRecord(f"nothing decides {command.type_name}")
        if decider.aggregate is None or decider.key is None:
            return decider.decide(staged, command, at)
        state = staged.get(decider.aggregate, getattr(command, decider.key))
        return decider.decide(state, command, at)

    def _refused(self, type_name: str, context: Context, now: int, refusal: Refusal) -> Decided:
        event = CommandRefused(
            at=now,
            command_id=context.id,
            command=type_name,
            status=refusal.status,
            code=refusal.code,
            detail=refusal.detail,
        )
        writer = _Writer(self, context, now)
        writer.event(event, None)
        known = Remembered(writer.position, refusal.status, refusal.code, refusal.detail)
        return self._done(writer, type_name, "refused", known)

    def _failed(self, type_name: str, context: Context, now: int, error: Exception) -> Decided:
        text = "".join(traceback.format_exception(error))
        event = CommandFailed(
            at=now,
            command_id=context.id,
            command=type_name,
            reason=_printable(f"{type(error).__name__}: {error}"),
            traceback_sha256=hashlib.sha256(text.encode()).hexdigest(),
        )
        writer = _Writer(self, context, now)
        writer.event(event, None)
        done = self._done(writer, type_name, "failed", _failure(writer.position))
        done.type_name = f"{type_name}\n{text}"
        return done

    def _done(self, writer: _Writer, type_name: str, outcome: str, known: Remembered) -> Decided:
        events = writer.position - self.position
        self.position, self.hash = writer.position, writer.hash
        if events:
            self._memorize(writer.context.id, known)
        outgoing = writer.outgoing + self._reply(writer.context, known, writer.now)
        return Decided(outgoing, type_name, outcome, events)

    def _reply(self, context: Context, known: Remembered, now: int) -> list[Outgoing]:
        if not context.reply_to:
            return []
        reply = Reply(
            command_id=context.id,
            status=known.status,
            code=known.code,
            detail=known.detail,
            topic=self._topic,
            partition=self.number,
            position=known.position,
        )
        envelope = context.follow(f"reply:{context.id}", context.id, now)
        return [
            Outgoing(
                topic=topics.REPLIES,
                key=context.id,
                value=self._codec.encode(reply),
                headers=headers(envelope, Reply.type_name, self._source),
                partition=int(context.reply_to),
            )
        ]


class _Writer:
    """Turns the facts of one decision, and what follows from them, into records."""

    def __init__(self, partition: Partition, context: Context, now: int) -> None:
        self.partition = partition
        self.context = context
        self.now = now
        self.position = partition.position
        self.hash = partition.hash
        self.outgoing: list[Outgoing] = []

    def event(self, event: Event, staged: _Staged | None) -> None:
        """Add one fact; ``staged`` holds the states after it (None: it folds into none)."""
        p = self.partition
        self.position += 1
        id = f"{p._topic}/{p.number}/{self.position}"
        key: Key = event.subject if event.folds else ("command", self.context.id)
        sequence = staged.next_sequence(key) if staged and event.folds else 1
        envelope = self.context.follow(id, self.context.id, self.now)
        made = headers(envelope, event.type_name, p._source, "/".join(key))
        stamp_headers(made, EventStamp(self.position, sequence, self.hash))
        value = p._codec.encode(event)
        self.hash = chain_hash(key[1], value, made)
        self.outgoing.append(Outgoing(p._topic, key[1], value, made, p.number))
        if staged is not None:
            self._follows(event, staged.get(*key) if event.folds else None, id)

    def _follows(self, event: Event, state: Any, event_id: str) -> None:
        for index, follow in enumerate(follows_of(event, state)):
            envelope = self.context.follow(f"{event_id}>{index}", event_id, self.now)
            self.outgoing.append(self._followed(follow, envelope))

    def _followed(self, follow: Send | Dispatch, envelope: Context) -> Outgoing:
        p = self.partition
        if isinstance(follow, Send):
            command = follow.command
            made = headers(envelope, command.type_name, p._source)
            topic = topics.commands(command.type_domain)
            return Outgoing(topic, follow.key, p._codec.encode(command), made)
        made = headers(envelope, follow.work.type_name, p._source)
        return Outgoing(
            topics.dispatch(follow.host), follow.host, p._codec.encode(follow.work), made
        )


def _printable(text: str) -> str:
    """What a stranger wrote, fit for a record and a table."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:1000])


def _failure(position: int) -> Remembered:
    return Remembered(position, 500, "computeFault", "The request could not be decided.")
