"""From records to what is to be written: the fold, without a database.

``read`` decodes and checks that each event follows the one before it in its partition; ``fold``
evolves the states of the aggregates that are projected, with the same ``evolve`` as the deciders
and the same rule: what is gone is forgotten, a later event of that id begins anew.

States of hot aggregates are kept in a bounded cache, others come from their rows (``needs`` says
which). The cache changes only when the batch is committed (``keep``), so a failed batch leaves
nothing behind.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from events.log.contract import Record, TopicPartition
from events.log.records import BadRecord, Codec, EventStamp, stamp_of
from events.message import MESSAGES, Event, UnknownMessage
from projections.actions import ActionLog
from projections.builds import Place, Places
from projections.failures import PositionGap, UnreadableEvent
from projections.history import history_line
from projections.model import ReadModel
from schemas.catalog import UnknownSchema

Key = tuple[str, str]
"""An aggregate's kind and id."""

Folded = tuple[Any, int]
"""An aggregate's state (None: there is none) and the number of events in it."""

NOTHING: Folded = (None, 0)


class Read(msgspec.Struct, frozen=True):
    """A decoded event with its place, and its line of the history."""

    record: Record
    event: Event
    stamp: EventStamp
    line: str


class Batch(msgspec.Struct):
    """What a number of events comes to."""

    reached: Places
    touched: dict[Key, Folded]
    history: list[str]
    actions: ActionLog


class Fold:
    """The fold of some partitions. Not thread-safe.

    ``states_max`` bounds the cache, in aggregates.
    """

    def __init__(self, model: ReadModel, codec: Codec, states_max: int) -> None:
        self._model = model
        self._codec = codec
        self._states_max = states_max
        self._states: OrderedDict[Key, Folded] = OrderedDict()
        self._from_sequence_one = _never_followed(model)

    def read(self, records: Sequence[Record], places: Mapping[TopicPartition, Place]) -> list[Read]:
        """The events in ``records``. Raises ``PositionGap`` or ``UnreadableEvent``."""
        positions = {source: place.position for source, place in places.items()}
        found = []
        for record in records:
            one = self._decode(record)
            expected = positions[record.source] + 1
            if one.stamp.position != expected:
                raise PositionGap(
                    f"{_name(record)} has position {one.stamp.position} where {expected} must"
                    " follow: events are missing, or this is another log than the one projected"
                )
            positions[record.source] = expected
            found.append(one)
        return found

    def needs(self, reads: Sequence[Read]) -> dict[str, list[str]]:
        """By aggregate, the ids whose states have to be loaded before ``fold``."""
        wanted: dict[Key, None] = {}
        new: set[Key] = set()
        for one in reads:
            for n, (name, field) in enumerate(one.event.folds):
                if name not in self._model.projected:
                    continue
                key = (name, getattr(one.event, field))
                if n == 0 and one.stamp.sequence == 1 and name in self._from_sequence_one:
                    new.add(key)
                elif key not in self._states and key not in new:
                    wanted[key] = None
        ids: dict[str, list[str]] = {}
        for name, id in wanted:
            ids.setdefault(name, []).append(id)
        return ids

    def fold(self, reads: Sequence[Read], loaded: Mapping[Key, Folded]) -> Batch:
        """Evolve all that the events change."""
        batch = Batch({}, {}, [], ActionLog())
        for one in reads:
            self._evolve(one, loaded, batch)
            batch.history.append(one.line)
            batch.reached[one.record.source] = Place(one.record.offset + 1, one.stamp.position)
        return batch

    def keep(self, batch: Batch) -> None:
        """The batch is committed: its states are the newest."""
        for key, folded in batch.touched.items():
            self._states[key] = folded
            self._states.move_to_end(key)
        while len(self._states) > self._states_max:
            self._states.popitem(last=False)

    def _evolve(self, one: Read, loaded: Mapping[Key, Folded], batch: Batch) -> None:
        event = one.event
        for n, (name, field) in enumerate(event.folds):
            if name not in self._model.projected:
                continue
            aggregate = self._model.aggregates[name]
            key = (name, getattr(event, field))
            folded = batch.touched.get(key) or self._states.get(key) or loaded.get(key) or NOTHING
            kept, sequence = folded
            before = None if kept is None or aggregate.gone(kept) else kept
            after = aggregate.evolve(before, event)
            if after is None and before is None:
                continue
            batch.touched[key] = (after, sequence + 1 if before is not None else 1)
            if n == 0:
                batch.actions.record(event, before, after, one.record.headers, one.stamp.sequence)

    def _decode(self, record: Record) -> Read:
        try:
            event = self._codec.decode(record.value)
            if not isinstance(event, Event):
                raise BadRecord(f"{event.type_name} is no event")
            stamp = stamp_of(record)
            return Read(record, event, stamp, history_line(record, event, stamp))
        except (BadRecord, UnknownSchema, UnknownMessage) as error:
            raise UnreadableEvent(f"{_name(record)} cannot be read: {error}") from error


def _name(record: Record) -> str:
    return f"the event at {record.topic}/{record.partition} offset {record.offset}"


def _never_followed(model: ReadModel) -> frozenset[str]:
    """Aggregates that only their own facts change: their first fact finds no row."""
    others = {
        name for cls in MESSAGES.values() if issubclass(cls, Event) for name, _ in cls.folds[1:]
    }
    return frozenset(model.projected) - others
