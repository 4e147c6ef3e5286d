"""Which values a record may hold: a bound for every field of every message class.

Invariant: what is written to the log can be decoded, rendered, stored in a column and indexed.
``check`` runs when a record is encoded and when a command, report or heartbeat is decoded: no
API, host or import can forget it. Events are not checked when they are read: they were when they
were made, and a bound that a later version tightens must not make an old fact unreadable.

A type states its bound as ``Annotated[int, Bound(…), "doc"]``; one without a bound has that of
its kind (``BOUNDS``). Bounds are no part of the Avro schema.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

INT4_MAX = 2**31 - 1
INT8_MAX = 2**63 - 1
INSTANT_MAX = 253_402_300_799_999_999
"""Microseconds since 1970 of 9999-12-31T23:59:59.999999Z, the last moment that ISO 8601 writes."""
NAME_CHARS_MAX = 255
TEXT_CHARS_MAX = 1 << 20
PRINTABLE_CHARS_MAX = 1000
ITEMS_MAX = 1 << 16
NESTING_MAX = 64
"""Levels of JSON that a client or a host may send. orjson writes 254."""

NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The one way to write U+0000 in JSON. Postgres can hold it in no text."""


class OutOfBounds(ValueError):
    """A message holds a value beyond its bound; the text is a sentence that names the field."""


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """Bound of one type: ``ge`` and ``le`` of a number, ``chars_max`` and ``pattern`` of a text."""

    ge: float | None = None
    le: float | None = None
    chars_max: int | None = None
    pattern: str | None = None

    @property
    def meta(self) -> Meta:
        """The same for msgspec."""
        if self.ge is not None or self.le is not None:
            return Meta(ge=self.ge, le=self.le)
        return Meta(max_length=self.chars_max, pattern=self.pattern)


NAME = Bound(chars_max=NAME_CHARS_MAX)
"""Fits a B-tree of Postgres (2,704 bytes), in four bytes for each character, beside another."""
TEXT = Bound(chars_max=TEXT_CHARS_MAX)
"""Never indexed; the log's largest record is smaller."""
AMOUNT = Bound(ge=-INT4_MAX - 1, le=INT4_MAX)
"""Fits Postgres' ``integer``."""

KEY = Bound(chars_max=640)
"""An id that is made of several; fits a B-tree alone."""

NUMBER = Bound(ge=-3.40282e38, le=3.40282e38)
"""What single precision holds, which is Nova's bound. Its product with an amount is finite."""

BOUNDS = {str: NAME, int: AMOUNT, float: NUMBER}
"""For each kind of value without a bound of its own. A text under a name (in a dict) is in no
index: it is bounded as ``TEXT``."""


def check(message: msgspec.Struct) -> None:
    """Raise ``OutOfBounds`` when any field of ``message`` is beyond its bound."""
    try:
        written = msgspec.json.encode(message)
        _decoder(type(message)).decode(written)
    except (msgspec.ValidationError, UnicodeEncodeError, OverflowError) as error:
        raise OutOfBounds(_sentence(str(error))) from None
    # A quick look first: only few texts hold these six characters at all.
    if b"\\u0000" in written and NUL.search(written):
        raise OutOfBounds("A text cannot contain the character U+0000.")


def printable(text: str, chars_max: int = PRINTABLE_CHARS_MAX) -> str:
    """Return the text of an error or what a stranger wrote, fit for a record and a table."""
    if len(text) <= chars_max and text.isprintable():
        return text
    kept = text[:chars_max]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in kept)


def _sentence(reason: str) -> str:
    said, _, path = reason.partition(" - at ")
    if not path:
        return "A text is not valid Unicode or a number is too large."
    return f"Invalid input for field/attribute {path.strip('`').removeprefix('$.')}. {said}"


def too_nested(value: object, levels: int = NESTING_MAX) -> bool:
    """Whether lists and dicts in ``value`` (of JSON) are nested deeper than ``levels``."""
    layer = [value]
    for _ in range(levels):
        layer = [
            inner
            for outer in layer
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not layer:
            return False
    return any(isinstance(inner, dict | list) for inner in layer)


@cache
def _decoder(cls: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(bounded(cls))


@cache
def bounded(cls: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Return a struct type with the fields of ``cls``, each with its bound as ``msgspec.Meta``."""
    hints = get_type_hints(cls, include_extras=True)
    fields = [(f.name, _bounded(hints[f.name])) for f in msgspec.structs.fields(cls)]
    return msgspec.defstruct(cls.__name__, fields)


def _bounded(hint: Any, bounds: Mapping[type, Bound] = BOUNDS) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        own = next((extra for extra in args[1:] if isinstance(extra, Bound)), None)
        return _bounded(args[0], bounds if own is None else dict.fromkeys(BOUNDS, own))
    if origin in (Union, types.UnionType):
        return Union[tuple(_bounded(arg, bounds) for arg in args)]  # noqa: UP007 - made at run time
    if origin is dict:
        values = _bounded(args[1], BOUNDS | {str: TEXT} if bounds is BOUNDS else bounds)
        mapping: Any = dict[_bounded(args[0]), values]  # type: ignore[misc]
        return Annotated[mapping, Meta(max_length=ITEMS_MAX)]
    if origin in (list, tuple):
        items: Any = list[_bounded(args[0], bounds)]  # type: ignore[misc]
        return Annotated[items, Meta(max_length=ITEMS_MAX)]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return bounded(hint)
    return Annotated[hint, bounds[hint].meta] if hint in bounds else hint
