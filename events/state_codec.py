"""States of aggregates as bytes: a decider's snapshots and the ``state`` column of the projections.

MessagePack of the state's struct. The same state gives the same bytes in any process: an
``immutables.Map``, whose order depends on the process's hash seed, is written in the order of
its keys; a ``dict`` keeps its own order, which the events gave it.

Such bytes are disposable: they are read only by code whose ``state_shape`` is the one that
wrote them, everything else folds the events again.
"""

from __future__ import annotations

import hashlib
import inspect
import types
import typing
from typing import Any, TypeVar

import immutables
import msgspec

from events.sharing import share

S = TypeVar("S")


class BadState(Exception):
    """The bytes are not a state of that type; the text says why."""


def encode_state(state: Any) -> bytes:
    """The bytes of a state (a msgspec struct, perhaps with ``immutables.Map`` fields)."""
    return _ENCODER.encode(state)


def decode_state(encoded: bytes, type: type[S]) -> S:
    """The state of that type. Raises ``BadState``."""
    decoder: msgspec.msgpack.Decoder[S] | None = _DECODERS.get(type)
    if decoder is None:
        decoder = _DECODERS[type] = msgspec.msgpack.Decoder(type, dec_hook=_typed)
    try:
        state = decoder.decode(encoded)
    except msgspec.DecodeError as error:
        raise BadState(f"not a state of {type.__name__}: {error}") from error
    share(state)
    return state


def state_shape(type: Any) -> str:
    """A hash (hex) over the fields and types of a state, all nested structs included."""
    lines: list[str] = []
    _describe(type, lines, set())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, immutables.Map):
        return dict(sorted(value.items()))
    raise NotImplementedError(f"a state cannot hold a {type(value).__name__}")


def _typed(type: Any, value: Any) -> Any:
    if (typing.get_origin(type) or type) is not immutables.Map:
        raise NotImplementedError(f"a state cannot hold a {type}")
    key, item = typing.get_args(type) or (Any, Any)
    plain = types.GenericAlias(dict, (key, item))
    return immutables.Map(msgspec.convert(value, plain, dec_hook=_typed))


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_plain)
_DECODERS: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


def _describe(type: Any, lines: list[str], seen: set[Any]) -> None:
    for argument in typing.get_args(type):
        _describe(argument, lines, seen)
    if not (inspect.isclass(type) and issubclass(type, msgspec.Struct)):
        return
    if type in seen:
        return
    seen.add(type)
    hints = typing.get_type_hints(type)
    for field in msgspec.structs.fields(type):
        lines.append(f"{type.__qualname__}.{field.encode_name}: {hints[field.name]!r}")
        _describe(hints[field.name], lines, seen)
