"""The Avro schema of a message class.

Field types give Avro types; the class docstring and the text in ``Annotated[type, text]`` give
each ``doc``. A field's default is the Avro default, so that old readers and writers agree on it.
"""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, get_args, get_origin

import msgspec

_PRIMITIVES = {str: "string", int: "long", float: "double", bool: "boolean", bytes: "bytes"}

Schema = dict[str, Any]


class Underivable(TypeError):
    """A field type that has no Avro form."""


def derive(cls: type[msgspec.Struct], namespace: str) -> Schema:
    """The schema of ``cls`` as a plain dict, e.g. of JSON. Raises ``Underivable``."""
    schema: Schema = _record(cls, namespace, set())
    return schema


def _record(cls: type[msgspec.Struct], namespace: str, seen: set[str]) -> Any:
    full = f"{namespace}.{cls.__name__}"
    if full in seen:
        return full
    seen.add(full)
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = [_field(cls, f, hints[f.name], namespace, seen) for f in msgspec.structs.fields(cls)]
    return {
        "type": "record",
        "name": cls.__name__,
        "namespace": namespace,
        "doc": " ".join((cls.__doc__ or "").split()),
        "fields": fields,
    }


def _field(
    cls: type, field: msgspec.structs.FieldInfo, hint: Any, namespace: str, seen: set[str]
) -> Schema:
    doc = ""
    if get_origin(hint) is Annotated:
        hint, *texts = get_args(hint)
        doc = " ".join(text for text in texts if isinstance(text, str))
    try:
        schema: Schema = {"name": field.encode_name, "type": _type(hint, namespace, seen)}
    except Underivable as error:
        raise Underivable(f"{cls.__name__}.{field.name}: {error}") from None
    if doc:
        schema["doc"] = doc
    if field.default is not msgspec.NODEFAULT:
        schema["default"] = field.default
    elif field.default_factory is not msgspec.NODEFAULT:
        schema["default"] = msgspec.to_builtins(field.default_factory())
    return schema


def _type(hint: Any, namespace: str, seen: set[str]) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type(args[0], namespace, seen)
    if origin is typing.Literal:
        return "string"
    if hint in _PRIMITIVES:
        return _PRIMITIVES[hint]
    if origin in (typing.Union, types.UnionType):
        rest = [a for a in args if a is not type(None)]
        if len(rest) != 1 or len(args) != 2:
            raise Underivable(f"{hint} is not one type or None")
        return ["null", _type(rest[0], namespace, seen)]
    if origin is dict and args[0] is str:
        return {"type": "map", "values": _type(args[1], namespace, seen)}
    if origin is list or (origin is tuple and len(args) == 2 and args[1] is Ellipsis):
        return {"type": "array", "items": _type(args[0], namespace, seen)}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _record(hint, namespace, seen)
    raise Underivable(f"{hint} has no Avro type")
