"""One partition of one domain in memory: the fold of what its journal holds. Only that.

It changes in two ways: ``fold`` takes a record that was read, ``take`` a draft whose records are
committed. What is decided but not committed lies in a ``Draft``, so a commit that fails leaves
nothing behind here. Nothing here knows a log, a thread or a clock.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from events import topics
from events.aggregate import AGGREGATES, folds_of
from events.journal import Marked, TermBegan
from events.log.contract import Record
from events.log.records import (
    GENESIS,
    BadRecord,
    Codec,
    chain_hash,
    context_of,
    control_hash,
    stamp_of,
)
from events.log.terms import TERM, begins_term, is_control
from events.message import Context, Event, Message, UnknownMessage
from handlers.decider.deadlines import Deadlines, Fate, Key, fate_of
from handlers.decider.effects import Effect, outcome_of
from handlers.decider.marks import Marks, marks_of, origin_of
from handlers.indexes import Indexes
from schemas.catalog import UnknownSchema

if TYPE_CHECKING:
    from handlers.decider.draft import Draft

REMEMBERED_US = 300_000_000
"""How long a command's id is remembered. Its sender sends it again within seconds or not at all:
each of its attempts ends after ``decision_timeout_s``."""

REMEMBERED_MIN = 1_000
"""So many are remembered in any case: an owner's clock may be minutes ahead of the last one's."""

REMEMBERED_MAX = 100_000
"""Most ids that are remembered: 300 a second for those five minutes."""


class Remembered(msgspec.Struct, frozen=True, gc=False):
    """How a command ended: position of its last event, and the refusal if it was one."""

    at: int
    position: int
    status: int = 0
    code: str = ""
    detail: str = ""
    told: bool = False
    """Refused under an earlier owner: what was said lies beside the journal, and was said or will
    be by what is delivered once more."""


class ForeignLog(Exception):
    """The journal's records do not follow each other, or cannot be read by this version."""


class Folded(msgspec.Struct):
    """A record of the journal whose effects may not be delivered yet."""

    offset: int
    message: Event | Marked
    state: Any
    """The subject's state after an event."""
    envelope: Context
    position: int


class Partition:
    """The state of partition ``number`` of ``domain``: every live aggregate by kind and id."""

    def __init__(self, domain: str, number: int, codec: Codec) -> None:
        self.domain = domain
        self.number = number
        self.codec = codec
        self.topic = topics.events(domain)
        self.source = f"/chronova/{self.topic}/{number}"
        self.position = 0
        """Number of the last event."""
        self.hash = GENESIS
        """The hash chain after the last record, control records too."""
        self.offset = 0
        """Where a reader of the journal goes on after what is folded."""
        self.last_hash = ""
        """Hash of the last record, by which a snapshot is proven."""
        self.proof: str | None = None
        """After a load: what ``last_hash`` of the record before ``offset`` has to be."""
        self.term = -1
        self.last_at = 0
        """Moment (microseconds) of the last record: a later one is never earlier."""
        self.marks = Marks()
        self.states: dict[str, dict[str, Any]] = {
            a.name: {} for a in AGGREGATES.values() if a.domain == domain
        }
        self.sequences: dict[Key, int] = {}
        self.remembered: OrderedDict[str, Remembered] = OrderedDict()
        self.in_flight: dict[Key, Context] = {}
        """Envelopes of what set the deadlines: who asked for it, in which request."""
        self.undelivered: deque[Folded] = deque()
        """What was folded and, by the marks, may have effects to deliver. The runner takes it."""
        self.kept_effects: list[Effect] = []
        """Effects of before a snapshot that were not delivered then."""
        self.indexes = Indexes(self.states)
        # No function here holds the partition itself: without cycles it is freed when it is lost.
        states = self.states
        self.deadlines = Deadlines(lambda key: states[key[0]].get(key[1]))

    # ------------------------------------------------------------ folding

    def fold(self, record: Record) -> None:
        """Fold one record as read from the log. Raises ``ForeignLog``, having changed nothing.

        After a load the record before ``offset`` comes first, as proof of what was loaded.
        """
        if self.proof is not None:
            return self._prove(record)
        if record.offset < self.offset:
            return
        if self._void(record):
            self.offset = record.offset + 1
            self.last_hash = chain_hash(record.key, record.value, record.headers)
            return
        try:
            message, marks = self.codec.decode(record.value), marks_of(record)
            if is_control(record):
                self._fold_control(record, message)
            else:
                self._fold_event(record, message)
        except ForeignLog:
            raise
        except (BadRecord, UnknownMessage, UnknownSchema) as error:
            raise ForeignLog(
                f"{record.topic}/{record.partition}@{record.offset} cannot be read by this version"
                f" of Chronova, and without it the state would be wrong: {error}"
            ) from error
        except Exception as error:
            raise ForeignLog(
                f"{record.topic}/{record.partition}@{record.offset}"
                f" ({record.headers.get('ce_type', '?').removeprefix('chronova.')}) cannot be"
                f" folded: {type(error).__name__}: {error}"
            ) from error
        self.offset = record.offset + 1
        if marks is not None:
            self._mark(marks)

    @property
    def reads_from(self) -> int:
        """Where a reader of the journal has to begin."""
        return self.offset if self.proof is None else self.offset - 1

    def _prove(self, record: Record) -> None:
        known = chain_hash(record.key, record.value, record.headers)
        if record.offset != self.offset - 1 or known != self.proof:
            raise ForeignLog("the snapshot was folded from records that this log does not hold")
        self.proof = None

    def _void(self, record: Record) -> bool:
        """Whether it was written under an old term, after a newer one had begun."""
        if begins_term(record):
            return False
        return self.term >= 0 and record.headers.get(TERM) != str(self.term)

    def _fold_control(self, record: Record, message: Message) -> None:
        if isinstance(message, TermBegan):
            self.term = record.offset
            self.last_at = max(self.last_at, message.at)
        elif isinstance(message, Marked):
            self.last_at = max(self.last_at, message.at)
            envelope = context_of(record)
            self._undelivered(record.offset, message, None, envelope)
            for answer in message.answers:
                outcome = (answer.status, answer.code, answer.detail)
                known = Remembered(message.at, answer.position, *outcome)
                self._remember(answer.command_id, known)
            for refused in message.refused:
                self._remember(refused.command_id, Remembered(message.at, 0, told=True))
        self.hash = control_hash(self.hash, record)
        self.last_hash = chain_hash(record.key, record.value, record.headers)

    def _fold_event(self, record: Record, event: Message) -> None:
        stamp, envelope = stamp_of(record), context_of(record)
        if not isinstance(event, Event):
            raise BadRecord(f"{event.type_name} is no event")
        if stamp.position != self.position + 1 or stamp.previous_hash != self.hash:
            raise ForeignLog(
                f"{record.topic}/{record.partition}@{record.offset} is event {stamp.position},"
                f" which does not follow event {self.position} of the state"
            )
        # All that may raise comes before anything is changed.
        evolved = [
            ((each.name, id), each.evolve(self.states[each.name].get(id), event))
            for each, id in folds_of(event)
        ]
        fates = [fate_of(key, state) for key, state in evolved]
        known = Remembered(event.at, stamp.position, *outcome_of(event))
        self.position = stamp.position
        self.hash = self.last_hash = chain_hash(record.key, record.value, record.headers)
        self.last_at = max(self.last_at, event.at)
        for (key, state), fate in zip(evolved, fates, strict=True):
            self._put(key, state, fate, envelope)
        subject = evolved[0][1] if evolved else None
        if event.folds:
            self._count(event.subject, stamp.sequence)
        self._undelivered(record.offset, event, subject, envelope)
        self._remember(envelope.causation_id, known)

    def _undelivered(
        self, offset: int, message: Event | Marked, state: Any, envelope: Context
    ) -> None:
        self.undelivered.append(Folded(offset, message, state, envelope, self.position))

    # ------------------------------------------------- taking over a draft

    def take(self, draft: Draft, first: int) -> None:
        """Take over what a draft holds; its records are committed from offset ``first`` on."""
        for key, (state, envelope) in draft.changed_states.items():
            self._put(key, state, fate_of(key, state), envelope)
        for key, sequence in draft.sequences.items():
            self._count(key, sequence)
        for id, known in draft.remembered.items():
            self._memorize(id, known)
        self.position, self.hash = draft.position, draft.hash
        self.last_hash = draft.last_hash
        self.last_at = draft.now
        self.offset = first + len(draft.records)
        self._mark(draft.marks)

    def _count(self, subject: Key, sequence: int) -> None:
        """Remember how many events the history of a live aggregate has."""
        if subject[1] in self.states[subject[0]]:
            self.sequences[subject] = sequence

    def _put(self, key: Key, state: Any, fate: Fate, envelope: Context) -> None:
        name, id = key
        before = self.states[name].get(id)
        self.deadlines.note(key, fate.deadline)
        if fate.gone:
            self.states[name].pop(id, None)
            self.indexes.replace(name, id, before, None)
            self.sequences.pop(key, None)
            self.in_flight.pop(key, None)
            return
        self.states[name][id] = state
        self.indexes.replace(name, id, before, state)
        if fate.deadline is None:
            self.in_flight.pop(key, None)
        else:
            self.in_flight[key] = envelope

    def _mark(self, marks: Marks) -> None:
        self.marks = self.marks.after(marks)
        done, held = self.marks.delivered, frozenset(self.marks.held)
        while self.undelivered and self.undelivered[0].offset <= done and not held:
            self.undelivered.popleft()
        if held:
            kept = [f for f in self.undelivered if f.offset > done or f.offset in held]
            self.undelivered = deque(kept)

    # ---------------------------------------------------------- memory of ids

    def _remember(self, command_id: str, known: Remembered) -> None:
        if command_id and origin_of(command_id) is None:
            self._memorize(command_id, known)

    def _memorize(self, command_id: str, known: Remembered) -> None:
        self.remembered[command_id] = known
        self.remembered.move_to_end(command_id)
        while len(self.remembered) > REMEMBERED_MIN:
            oldest = next(iter(self.remembered.values()))
            if len(self.remembered) <= REMEMBERED_MAX and oldest.at >= known.at - REMEMBERED_US:
                break
            self.remembered.popitem(last=False)

    # ------------------------------------------------------------- reading

    def get(self, aggregate: str, id: str) -> Any:
        """Return a committed state, or None."""
        return self.states[aggregate].get(id)

    def all(self, aggregate: str) -> Mapping[str, Any]:
        """Return every committed state of a kind by its id. Not to be changed."""
        return self.states[aggregate]
