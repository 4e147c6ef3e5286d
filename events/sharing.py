"""One object for values that many states share: a flavor, an image, a project's id, a host's name.

Each event is read into objects of its own, so without this a million servers of one image would
hold a million copies of it (4.4 KiB a server; 1.3 with it: tests/bench/memory.py). A value that
was seen lately is replaced by the one object that equals it. The table is bounded: values unseen
for ``GENERATION`` others drop out of it, and are then held only by the states that have them.

Nothing depends on it but memory: states are never changed, and equal values are as good as one.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import compress
from operator import attrgetter, is_not
from typing import Any

import msgspec
from msgspec.structs import force_setattr

GENERATION = 32_768
"""Values in each of the two halves of the table."""

CHARS_MAX = 256
"""A longer text is seldom somebody else's too."""

SHARED: dict[type, tuple[str, ...]] = {}
"""By the type of a state: its fields whose values others are likely to have as well."""


_GETTERS: dict[type, Callable[[Any], tuple[Any, ...]]] = {}


class Table:
    """Values by what they are; the older half is dropped when the newer one is full."""

    def __init__(self, size: int = GENERATION) -> None:
        self._size = size
        self._newer: dict[Any, Any] = {}
        self._older: dict[Any, Any] = {}

    def one(self, key: Any, value: Any) -> Any:
        """The value that is kept under this key: this one, if it is the first."""
        known = self._newer.get(key)
        if known is not None:
            return known
        kept = self._older.get(key, value)
        if len(self._newer) >= self._size:
            self._newer, self._older = {}, self._newer
        self._newer[key] = kept
        return kept

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)


_texts = Table()
_structs = Table()
_lists = Table()
_NO_DICT: dict[Any, Any] = {}
_NO_LIST: list[Any] = []
_encoder = msgspec.msgpack.Encoder()


def shared(value: Any) -> Any:
    """What equals ``value`` with as much as possible of it shared: a text, a struct, or a list or
    dict of texts (whole only where it has nothing of its own)."""
    kind = type(value)
    if kind is str:
        return _texts.one(value, value) if len(value) <= CHARS_MAX else value
    if kind is dict:
        return {shared(k): shared(v) for k, v in value.items()} if value else _NO_DICT
    if kind is list:
        return _shared_list(value) if value else _NO_LIST
    if isinstance(value, msgspec.Struct):
        return _structs.one((kind, _encoder.encode(value)), value)
    return value


def _shared_list(value: list[Any]) -> list[Any]:
    items = [shared(item) for item in value]
    return _lists.one(items[0], items) if len(items) == 1 and isinstance(items[0], str) else items


def share(state: Any, before: Any = None) -> None:
    """Have a new state hold shared values in its ``SHARED`` fields, where they are not those of
    the state before. Only for a state that nobody else has seen. 3 us for an event, measured."""
    kind = type(state)
    get = _GETTERS.get(kind) or _getter(kind)
    if get is None:
        return
    values = get(state)
    known = get(before) if type(before) is kind else (None,) * len(values)
    named = zip(SHARED[kind], values, strict=True)
    for field, value in compress(named, map(is_not, values, known)):
        if value is None:
            continue
        one = shared(value)
        if one is not value:
            force_setattr(state, field, one)


def _getter(kind: type) -> Callable[[Any], tuple[Any, ...]] | None:
    """Return what reads the ``SHARED`` fields of a kind of state, all at once."""
    fields = SHARED.get(kind)
    if not fields:
        return None
    # Of one name ``attrgetter`` gives the value, of several a tuple.
    get = attrgetter(*fields)
    made = get if len(fields) > 1 else lambda state: (get(state),)
    _GETTERS[kind] = made
    return made


def sharing(evolve: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The same fold, with shared values in what it makes."""

    def evolved(before: Any, event: Any) -> Any:
        after = evolve(before, event)
        if after is not before and after is not None:
            share(after, before)
        return after

    return evolved
