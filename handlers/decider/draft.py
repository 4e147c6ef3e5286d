"""A draft: what a batch of inputs comes to, on top of a partition that it does not change.

A command is decided whole or not at all: its facts are folded and its reactions asked in an
``Attempt``, and the draft takes them over only when all of that went well. The draft becomes
true when its records are committed; until then it can be thrown away.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from commands.decision import DECIDERS, Decision, Refusal
from events.aggregate import AGGREGATES
from events.bounds import printable
from events.features import NotEnabled
from events.journal import Answer, Marked, Refused
from events.log.contract import Outgoing, Record
from events.log.records import (
    BadRecord,
    EventStamp,
    chain_hash,
    control_hash,
    headers,
    stamp_headers,
)
from events.log.terms import TERM
from events.message import Command, Context
from events.outcome import CommandFailed, CommandRefused
from handlers.decider.attempt import Attempt, Fact, Overlay, TooLarge
from handlers.decider.budget import UNLIMITED, Budget, OverBudget, breakable
from handlers.decider.deadlines import Key
from handlers.decider.effects import Effect, Effects, outcome_of
from handlers.decider.inputs import Input
from handlers.decider.marks import MARKS, Followed, Marks, Waited
from handlers.decider.partition import Partition, Remembered
from handlers.decider.refusals import refusal_of

ENVELOPE_BYTES_MAX = 32 * 1024
"""Key and headers of a record take less (``events.log.records.ENVELOPE_CHARS_MAX``)."""

Limits = tuple[int, int]
"""Bytes that the log takes in one record, and in one append to a journal."""

SILENT_MAX = 500
SILENT_US = 60_000_000
"""Inputs that led to nothing are marked after as many, or so long after the last record."""

NOT_ENABLED = "featureNotEnabled"
"""Code of the refusal of what needs a feature level that is not enabled; it passes."""

TOO_LARGE = Refusal(413, "overLimit", "The request is larger than the log accepts.")


class Decided(msgspec.Struct):
    """How one input ended, for counters and logs."""

    type_name: str
    outcome: str
    """accepted, refused, failed, over_budget or repeated."""
    events: int = 0
    waited_s: float = 0.0
    """From the command's append to its decision."""
    request_id: str = ""
    problem: str = ""
    """The traceback of one that failed or was broken off."""


class Draft:
    """What inputs come to on ``base``, decided at ``now`` (microseconds), written in its term.

    ``budget``: what breaks off decisions that take too long.
    """

    def __init__(
        self,
        base: Partition,
        effects_of: Effects,
        now: int,
        limits: Limits,
        budget: Budget = UNLIMITED,
    ) -> None:
        self.base = base
        self.effects_of = effects_of
        self.clock = now
        """The owner's clock; ``now`` is the time of facts, which never goes back."""
        self.now = max(now, base.last_at)
        self.position = base.position
        self.hash = base.hash
        self.last_hash = base.last_hash
        self.records: list[Outgoing] = []
        self.effects: list[tuple[int, Effect]] = []
        """What follows, each with the index of its record."""
        self.refusals: list[Outgoing] = []
        """Records of refused commands, to be appended before this is committed."""
        self.refused_at: Sequence[int] = ()
        """Their offsets, once they are."""
        self.decided: list[Decided] = []
        self.inputs: list[Input] = []
        self.changed_states: dict[Key, tuple[Any, Context]] = {}
        self.sequences: dict[Key, int] = {}
        self.remembered: dict[str, Remembered] = {}
        self.marks = Marks()
        self.size_bytes = 0
        self._limits = limits
        self._budget = budget
        self.bytes_max = limits[1]
        """Of what one command leads to."""
        self.offsets: dict[str, int] = {}
        """By input topic, where the next record to take is; earlier drafts that led to nothing
        are part of it."""
        self._taken: dict[str, Followed] = {}
        self._answers: list[tuple[Answer, Context]] = []
        self._refused_commands: list[tuple[CommandRefused, Context]] = []
        self._changes: dict[str, dict[str, Any]] = {}
        self._open: dict[str, str] | None = None
        """Headers of the last record, which may still get the marks."""

    # -------------------------------------------------------------- view

    def get(self, aggregate: str, id: str) -> Any:
        """Return the state that the batch has led to so far, or None."""
        changes = self._changes.get(aggregate)
        if changes is not None and id in changes:
            return changes[id]
        return self.base.get(aggregate, id)

    def all(self, aggregate: str) -> Mapping[str, Any]:
        """Return every state of a kind by id, as the batch has led to so far."""
        changes = self._changes.get(aggregate)
        base = self.base.all(aggregate)
        return Overlay(base, changes) if changes else base

    def changed(self, aggregate: str) -> Mapping[str, Any | None]:
        """Return the states of a kind that the batch has changed so far; None: gone."""
        return self._changes.get(aggregate, {})

    # ---------------------------------------------------------- deciding

    def decide(self, item: Input) -> None:
        """Decide one input. Raises nothing for what it holds: what cannot be read, and a decision
        that goes wrong, becomes a recorded ``CommandFailed``. Raises ``NotEnabled`` for what can be
        decided only when a feature level is enabled, and nobody would send again: it is to be kept,
        and nothing has changed."""
        done = self._repeated(item) or self._attempted(item)
        self._pass(item)
        if item.origin is not None and done.outcome != "repeated":
            self._taken[item.origin[0]] = item.origin[1]
        done.waited_s = max(0, self.now - item.since) / 1e6 if item.since else 0.0
        self.decided.append(done)

    def fail(self, item: Input, reason: Exception) -> None:
        """Record that an input could not be decided, without trying."""
        self._pass(item)
        if item.origin is not None:
            self._taken[item.origin[0]] = item.origin[1]
        self.decided.append(self._failed(item, reason))

    def _pass(self, item: Input) -> None:
        """Mark that an input's place in its topic is behind this draft."""
        self.inputs.append(item)
        if item.place is not None:
            self.offsets[item.place[0]] = item.place[1]

    def _repeated(self, item: Input) -> Decided | None:
        if item.origin is not None:
            journal, number = item.origin
            taken = self._taken.get(journal) or self.base.marks.taken.get(journal)
            return Decided("", "repeated") if taken is not None and number <= taken else None
        if item.place is None or item.report is not None:
            # What is overdue is asked for by nobody, and looked at each time. So is what a host
            # says twice: another one could have taken the id of its report first.
            return None
        id = item.context.id
        known = self.remembered.get(id) or self.base.remembered.get(id)
        if known is None:
            return None
        if item.context.reply_to and not known.told:
            self._answer(item.context, known)
        return Decided("", "repeated")

    def _attempted(self, item: Input) -> Decided:
        try:
            command = item.read(self.base.domain, self.base.codec)
            attempt = Attempt(self, whole=item.from_client)
            self._budget.begin()
            refusal = self._led_to(command, attempt, item.context)
            if refusal is not None:
                return self._refused(item, command, refusal)
        except TooLarge:
            return self._refused(item, command, TOO_LARGE)
        except NotEnabled as error:
            if item.origin is not None or item.reported:
                raise
            return self._refused(item, command, Refusal(503, NOT_ENABLED, str(error)))
        except (Exception, OverBudget) as error:  # noqa: BLE001 - recorded, nothing is lost
            return self._failed(item, error)
        self._take(attempt, item.context)
        return self._done(item, command.type_name, "accepted", len(attempt.facts))

    @breakable
    def _led_to(self, command: Command, attempt: Attempt, context: Context) -> Refusal | None:
        """Have a command decided, and its facts added to an attempt. It changes nothing else."""
        decision = self._asked(command, attempt)
        if decision.refusal is not None:
            return decision.refusal
        for event in decision.events:
            attempt.add(event, context)
        return TOO_LARGE if self._too_large(attempt) else None

    def _asked(self, command: Command, attempt: Attempt) -> Decision:
        decider = DECIDERS.get(command.type_name)
        if decider is None:
            raise BadRecord(f"nothing decides {command.type_name}")
        if decider.aggregate is None or decider.key is None:
            return decider.decide(attempt, command, self.now)
        state = attempt.get(decider.aggregate, getattr(command, decider.key))
        return decider.decide(state, command, self.now)

    def _too_large(self, attempt: Attempt) -> bool:
        """Whether the log could not take one fact or effect that the attempt led to."""
        record_max = self._limits[0]
        sizes = [len(fact.value) + ENVELOPE_BYTES_MAX for fact in attempt.facts]
        sizes += [
            self._size(effect) + ENVELOPE_BYTES_MAX
            for fact in attempt.facts
            for effect in fact.effects
            if len(fact.value) > record_max // 8
        ]
        return any(size > record_max for size in sizes)

    def _size(self, effect: Effect) -> int:
        try:
            return len(self.base.codec.encode(effect.message))
        except NotEnabled:
            return 0  # it waits in the outbox

    def _refused(self, item: Input, command: Command, refusal: Refusal) -> Decided:
        """Write it down beside the journal (``refusals``); the mark will say so."""
        event, record = refusal_of(self.base, item, command, refusal, self.now)
        self.refusals.append(record)
        self._refused_commands.append((event, item.context))
        self.size_bytes += len(record.value) + sum(map(len, record.headers.values()))
        if item.origin is None and item.place is not None:
            self.remembered[item.context.id] = Remembered(
                self.now, 0, refusal.status, refusal.code, refusal.detail
            )
        return Decided(command.type_name, "refused", request_id=item.context.request_id)

    def _failed(self, item: Input, error: BaseException) -> Decided:
        text = "".join(traceback.format_exception(error))
        attempt = Attempt(self)
        attempt.add(
            CommandFailed(
                at=self.now,
                command_id=item.context.id,
                command=item.type_name,
                reason=printable(f"{type(error).__name__}: {error}"),
                traceback_sha256=hashlib.sha256(text.encode()).hexdigest(),
            ),
            item.context,
        )
        self._take(attempt, item.context)
        outcome = "over_budget" if isinstance(error, OverBudget) else "failed"
        done = self._done(item, item.type_name, outcome, 1)
        done.problem = text
        return done

    def _done(self, item: Input, type_name: str, outcome: str, events: int) -> Decided:
        if not events and item.context.reply_to:
            known = Remembered(self.now, self.position)
            self._answer(item.context, known)
            if item.origin is None and item.place is not None:
                self.remembered[item.context.id] = known
        return Decided(type_name, outcome, events, request_id=item.context.request_id)

    # ----------------------------------------------------------- writing

    def _take(self, attempt: Attempt, command: Context) -> None:
        """Take over an attempt: its states, and its facts as records."""
        for number, fact in enumerate(attempt.facts, start=1):
            made = headers(
                fact.envelope,
                fact.event.type_name,
                self.base.source,
                "/".join(fact.event.subject if fact.event.folds else ("command", command.id)),
            )
            self._seal()
            self.position += 1
            stamp_headers(made, EventStamp(self.position, fact.sequence, self.hash))
            if number == len(attempt.facts):
                self._conclude(fact, made, command)
            about = fact.event.subject[1] if fact.event.folds else command.id
            self._write(about, fact.value, made)
            self.effects += [(len(self.records) - 1, effect) for effect in fact.effects]
        for key, state in attempt.states.items():
            gone = state is None or AGGREGATES[key[0]].gone(state)
            self._changes.setdefault(key[0], {})[key[1]] = None if gone else state
            self.changed_states[key] = (state, attempt.envelopes[key])
        self.sequences.update(attempt.sequences)

    def _conclude(self, fact: Fact, made: dict[str, str], command: Context) -> None:
        """The last fact of a command holds what its sender is told, and to whom."""
        status, code, detail = outcome_of(fact.event)
        known = Remembered(self.now, self.position, status, code, detail)
        self.remembered[command.id] = known
        if command.reply_to:
            made["ce_replyto"] = command.reply_to
            reply = self.effects_of.reply(fact.event, command, self.position)
            if reply is not None:
                fact.effects.append(reply)

    def _write(self, key: str, value: bytes, made: dict[str, str]) -> None:
        made[TERM] = str(self.base.term)
        self._open = made
        self.records.append(Outgoing(self.base.topic, key, value, made, self.base.number))
        self.size_bytes += len(value) + sum(map(len, made.values())) + 400

    def _seal(self) -> None:
        """Take the last record into the hash chain: its headers do not change any more."""
        if self._open is not None:
            last = self.records[-1]
            self.hash = chain_hash(last.key, last.value, last.headers)
            self._open = None

    def _answer(self, command: Context, known: Remembered) -> None:
        """Tell a command's sender what is true already; with no fact, the mark holds it."""
        answer = Answer(
            command_id=command.id,
            reply_to=command.reply_to,
            status=known.status,
            code=known.code,
            detail=known.detail,
            position=known.position,
        )
        self._answers.append((answer, command))

    def finish(self, delivered: int, held: list[int], waited: Waited | None = None) -> bool:
        """Complete the records with marks; whether there is anything to commit.

        ``delivered`` and ``held``: what of this journal's effects has been delivered. Where the
        ``refusals`` lie is known by now.
        """
        answered = bool(self._answers or self.refusals)
        if not self.records and not answered and not waited and not self._mark_due():
            return False
        self.marks = Marks(self.offsets, self._taken, delivered, held, waited)
        control = answered or not self.records
        if control:
            self._seal()
            self._mark_record()
        assert self._open is not None
        self._open[MARKS] = self.marks.encode()
        last = self.records[-1]
        self.last_hash = chain_hash(last.key, last.value, last.headers)
        if control:
            made = Record(last.topic, 0, -1, 0, last.key, last.value, last.headers)
            self.hash = control_hash(self.hash, made)
        else:
            self.hash = self.last_hash
        self._open = None
        return True

    def _mark_due(self) -> bool:
        """Whether inputs that led to nothing are to be marked by themselves: else a later owner
        looks at them once more, which is as harmless as it was."""
        if self._taken or not self.inputs:
            return bool(self._taken)
        known = self.base.marks.inputs
        passed = sum(offset - known.get(topic, 0) for topic, offset in self.offsets.items())
        return passed >= SILENT_MAX or self.now - self.base.last_at >= SILENT_US

    def _mark_record(self) -> None:
        answers = [answer for answer, _ in self._answers]
        refused = [
            Refused(command_id=command.id, offset=offset)
            for (_, command), offset in zip(self._refused_commands, self.refused_at, strict=True)
        ]
        marked = Marked(at=self.now, answers=answers, refused=refused)
        id = f"{self.base.topic}/{self.base.number}/{self.base.offset}+{len(self.records)}"
        context = Context(id=id, time=self.now)
        made = headers(context, Marked.type_name, self.base.source)
        self._write("mark", self.base.codec.encode(marked), made)
        self.effects += [
            (len(self.records) - 1, self.effects_of.answer(answer, command))
            for answer, command in self._answers
            if answer.reply_to
        ]
        for event, command in self._refused_commands:
            if (reply := self.effects_of.reply(event, command, 0)) is not None:
                self.effects.append((len(self.records) - 1, reply))
