"""An attempt: one command's facts on top of a draft, which takes them over or drops them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from events.aggregate import folds_of
from events.message import Context, Event
from handlers.decider.deadlines import Key, fate_of
from handlers.decider.effects import Effect

if TYPE_CHECKING:
    from handlers.decider.draft import Draft


FACT_BYTES = 2048
"""Key and headers of a fact: what a decision of many facts is counted with."""


class TooLarge(Exception):
    """One append cannot take what a command led to."""


class Fact(msgspec.Struct):
    """An event that an attempt led to, with its envelope, its bytes and what follows from it."""

    event: Event
    envelope: Context
    sequence: int
    value: bytes
    effects: list[Effect]


class Overlay(Mapping[str, Any]):
    """States of one kind with changes on top; None: gone."""

    def __init__(self, base: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
        self._base = base
        self._changes = changes

    def __getitem__(self, id: str) -> Any:
        state = self._changes[id] if id in self._changes else self._base[id]
        if state is None:
            raise KeyError(id)
        return state

    def __iter__(self) -> Iterator[str]:
        yield from (id for id in self._base if id not in self._changes)
        yield from (id for id, state in self._changes.items() if state is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Attempt:
    """One command's changes on top of a draft; a ``commands.decision.View``.

    ``whole``: what follows must be allowed to be written as well. Else it waits for its feature
    level in the outbox.
    """

    def __init__(self, draft: Draft, *, whole: bool = True) -> None:
        self._draft = draft
        self._whole = whole
        self.states: dict[Key, Any] = {}
        self.envelopes: dict[Key, Context] = {}
        self.sequences: dict[Key, int] = {}
        self.facts: list[Fact] = []
        self._bytes = 0

    def get(self, aggregate: str, id: str) -> Any:
        """Return the state, or None."""
        key = (aggregate, id)
        return self.states[key] if key in self.states else self._draft.get(aggregate, id)

    def all(self, aggregate: str) -> Mapping[str, Any]:
        """Return every state of a kind by id, those that the batch has changed as they are now."""
        return self._draft.all(aggregate)

    def index(self, name: str) -> Any:
        """Return an index of the committed states."""
        return self._draft.base.indexes.get(name)

    def changed(self, aggregate: str) -> Mapping[str, Any | None]:
        """Return the states that the batch has changed on top of what indexes hold; None: gone."""
        return self._draft.changed(aggregate)

    @property
    def level(self) -> int:
        """Return the feature level that is enabled."""
        return self._draft.base.codec.levels.reached.enabled

    def add(self, event: Event, command: Context) -> None:
        """Fold a fact into this attempt, and ask what follows from it. Raises ``NotEnabled`` where
        the fact, or what follows, may not be written yet, and ``TooLarge``: then nobody encodes
        the rest in vain."""
        draft = self._draft
        event_id = f"{draft.base.topic}/{draft.base.number}/{draft.position + len(self.facts) + 1}"
        envelope = command.follow(event_id, command.id, draft.now)
        key: Key = event.subject if event.folds else ("command", command.id)
        sequence = self._sequence(key) if event.folds else 1
        for aggregate, id in folds_of(event):
            changed = (aggregate.name, id)
            self.states[changed] = aggregate.evolve(self.get(*changed), event)
            fate_of(changed, self.states[changed])  # a defect there shows before the commit
            self.envelopes[changed] = envelope
        state = self.get(*key) if event.folds else None
        effects = list(draft.effects_of.of(event, state, envelope))
        if self._whole:
            for effect in effects:
                draft.base.codec.levels.require(effect.message)
        value = draft.base.codec.encode(event)
        self._bytes += len(value) + FACT_BYTES
        if self._bytes > draft.bytes_max:
            raise TooLarge
        self.facts.append(Fact(event, envelope, sequence, value, effects))

    def _sequence(self, key: Key) -> int:
        known = self.sequences.get(key)
        if known is None:
            known = self._draft.sequences.get(key, self._draft.base.sequences.get(key, 0))
            if self._draft.get(*key) is None:
                known = 0  # what is gone is forgotten; another of this id begins its own history
        self.sequences[key] = known + 1
        return known + 1
