"""From records to what is to be written: the fold, without a database.

``read`` decodes and checks that each record follows the one before it in its partition
(``events.log.chain``); ``fold`` evolves the states of the aggregates that are projected, with the
same ``evolve`` as the deciders and the same rule: what is gone is forgotten, a later event of that
id begins a new one.

States of hot aggregates are kept in a bounded cache, others come from their rows (``needs`` says
which). The cache changes only when the batch is committed (``keep``), so a failed batch leaves
nothing behind.

One bad record or aggregate never spoils the others: a partition whose next record cannot be taken
is reported (``Reading.broken``), an aggregate whose fold fails is set aside (``Batch.aside``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from events.log.chain import BrokenChain, Walk
from events.log.contract import Record, TopicPartition
from events.log.records import BadRecord, Codec, EventStamp
from events.message import MESSAGES, Event, UnknownMessage
from projections.actions import ActionLog
from projections.aside import Note, name_of, reason
from projections.builds import Place, Places
from projections.failures import BrokenPartition, ChainBroken, UnreadableEvent
from projections.history import history_line
from projections.model import ReadModel
from schemas.catalog import UnknownSchema

Key = tuple[str, str]
"""An aggregate's kind and id."""

Folded = tuple[Any, int]
"""An aggregate's state (None: there is none) and the number of events in it."""

NOTHING: Folded = (None, 0)


class Read(msgspec.Struct, frozen=True):
    """A decoded event, its line of the history, and where its partition is after it."""

    record: Record
    event: Event
    stamp: EventStamp
    line: str
    after: Place


class Reading(msgspec.Struct, frozen=True):
    """What some records are. ``reached``: how far each partition is after them, void and control
    records included. ``broken``: the partitions of which a record could not be taken, and why."""

    reads: list[Read]
    reached: Places
    broken: dict[TopicPartition, BrokenPartition]


class Batch(msgspec.Struct):
    """What a number of events comes to. ``latest``: the last event of each touched aggregate;
    ``events``: how many there were of each; ``aside``: notes about those that were not taken."""

    reached: Places
    touched: dict[Key, Folded] = {}
    latest: dict[Key, Read] = {}
    events: dict[Key, int] = {}
    history: list[str] = []
    actions: ActionLog = msgspec.field(default_factory=ActionLog)
    aside: dict[Key, Note] = {}

    def set_aside(self, key: Key, one: Read, error: str) -> None:
        """Take nothing of this aggregate; ``error`` is empty where that was so before."""
        self.touched.pop(key, None)
        known = self.aside.get(key)
        if known is not None:
            known.events = self.events[key]
            return
        record = one.record
        event = f"{one.event.type_name} at {record.topic}/{record.partition}"
        self.aside[key] = Note(
            name=name_of(*key),
            aggregate=key[0],
            id=key[1],
            topic=record.topic,
            partition=record.partition,
            event=f"{event} position {one.stamp.position}",
            error=error,
            since=record.timestamp,
            events=self.events[key],
        )


class Fold:
    """The fold of some partitions. Not thread-safe.

    ``states_max`` bounds the cache, in aggregates. ``aside``: aggregates of which nothing is taken.
    ``only(key)``: whether to fold an aggregate; None: all.
    """

    def __init__(
        self,
        model: ReadModel,
        codec: Codec,
        states_max: int,
        aside: Collection[Key] = (),
        only: Callable[[Key], bool] | None = None,
    ) -> None:
        self._model = model
        self._codec = codec
        self._states_max = states_max
        self._states: OrderedDict[Key, Folded] = OrderedDict()
        self._from_sequence_one = _never_followed(model)
        self.aside = set(aside)
        self._only = only

    def read(self, records: Sequence[Record], places: Mapping[TopicPartition, Place]) -> Reading:
        """Decode and check the next records of the partitions that are at ``places``."""
        walk = Walk(places)
        reading = Reading([], {}, {})
        for record in records:
            source = record.source
            if source in reading.broken:
                continue
            try:
                stamp = walk.take(record)
                if stamp is not None:
                    reading.reads.append(self._decode(record, stamp, walk.links[source]))
                reading.reached[source] = walk.links[source]
            except BrokenChain as error:
                reading.broken[source] = ChainBroken(str(error), record.offset)
            except UnreadableEvent as error:
                reading.broken[source] = error
        return reading

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
                elif key not in self._states and key not in new and key not in self.aside:
                    wanted[key] = None
        ids: dict[str, list[str]] = {}
        for name, id in wanted:
            ids.setdefault(name, []).append(id)
        return ids

    def fold(
        self,
        reads: Sequence[Read],
        loaded: Mapping[Key, Folded],
        reached: Places,
        actions: ActionLog | None = None,
    ) -> Batch:
        """Evolve all that the events change; the partitions are ``reached`` so far then.

        ``actions``: go on with these instance actions, of earlier events that are not written yet.
        """
        batch = Batch(dict(reached), actions=actions or ActionLog())
        for one in reads:
            self._evolve_all(one, loaded, batch)
            batch.history.append(one.line)
        return batch

    def keep(self, batch: Batch) -> None:
        """The batch is committed: its states are the newest."""
        for key, folded in batch.touched.items():
            self._states[key] = folded
            self._states.move_to_end(key)
        for key in batch.aside:
            self.aside.add(key)
            self._states.pop(key, None)
        while len(self._states) > self._states_max:
            self._states.popitem(last=False)

    def _evolve_all(self, one: Read, loaded: Mapping[Key, Folded], batch: Batch) -> None:
        for n, (name, field) in enumerate(one.event.folds):
            if name not in self._model.projected:
                continue
            key = (name, getattr(one.event, field))
            if self._only is not None and not self._only(key):
                continue
            batch.events[key] = batch.events.get(key, 0) + 1
            if key in self.aside or key in batch.aside:
                batch.set_aside(key, one, "")
                continue
            try:
                self._evolve(one, key, n == 0, loaded, batch)
            except Exception as error:  # noqa: BLE001 - recorded with the aggregate's note
                batch.set_aside(key, one, reason(error))

    def _evolve(
        self, one: Read, key: Key, subject: bool, loaded: Mapping[Key, Folded], batch: Batch
    ) -> None:
        aggregate = self._model.aggregates[key[0]]
        folded = batch.touched.get(key) or self._states.get(key) or loaded.get(key) or NOTHING
        kept, sequence = folded
        before = None if kept is None or aggregate.gone(kept) else kept
        after = aggregate.evolve(before, one.event)
        if after is None and before is None:
            return
        if subject:
            batch.actions.record(
                one.event, before, after, one.record.headers, one.record.partition, one.stamp
            )
        batch.touched[key] = (after, sequence + 1 if before is not None else 1)
        batch.latest[key] = one

    def _decode(self, record: Record, stamp: EventStamp, after: Place) -> Read:
        try:
            event = self._codec.decode(record.value)
            if not isinstance(event, Event):
                raise BadRecord(f"{event.type_name} is no event")
            return Read(record, event, stamp, history_line(record, event, stamp), after)
        except (BadRecord, UnknownSchema, UnknownMessage) as error:
            name = f"the event at {record.topic}/{record.partition} offset {record.offset}"
            raise UnreadableEvent(f"{name} cannot be read: {error}", record.offset) from error


def _never_followed(model: ReadModel) -> frozenset[str]:
    """Aggregates that only their own facts change: their first fact finds no row."""
    others = {
        name for cls in MESSAGES.values() if issubclass(cls, Event) for name, _ in cls.folds[1:]
    }
    return frozenset(model.projected) - others
