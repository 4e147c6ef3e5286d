"""Golden records: for each version of each message, bytes that every later release can read.

``golden/<domain>/<Name>.<version>.json`` holds two records, one with every field filled and one
with as little as the schema allows, each as bytes (hex) and as the value they mean.
``python -m tests.schemas.golden`` (part of ``make schemas``) writes those that are missing; what is
there is never rewritten. A golden can only be made while its version is the newest: values
come from the class.
"""

from __future__ import annotations

import json
import sys
import types
import typing
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec

from events.log.records import Codec
from events.message import MESSAGES, Message
from schemas.catalog import Version, catalog
from schemas.commit import import_messages

FOLDER = Path(__file__).with_suffix("")

Fill = Callable[[Any, str], Any]
"""A value of a type, for the field at that path."""


class Golden(msgspec.Struct, frozen=True):
    """One record."""

    bytes: str
    """Hex of the whole value, schema id included."""
    value: dict[str, Any]
    """The message as JSON, its bytes in base64."""


class GoldenFile(msgspec.Struct, frozen=True):
    """The records of one version."""

    full: Golden
    sparse: Golden


def path_of(version: Version) -> Path:
    """Where the golden of a version lies."""
    return FOLDER / f"{version.message.replace('.', '/', 1)}.{version.version}.json"


def read(version: Version) -> GoldenFile:
    """The committed golden."""
    return msgspec.json.decode(path_of(version).read_bytes(), type=GoldenFile)


def full(hint: Any, path: str) -> Any:
    """A value with something in every place, told by its path."""
    origin, args = get_origin(hint), get_args(hint)
    number = zlib.crc32(path.encode())
    if hint is str:
        return f"{path} \N{GREEK SMALL LETTER ALPHA}"
    if hint is int:
        return number
    if hint is float:
        return number / 8
    if hint is bool:
        return True
    if hint is bytes:
        return number.to_bytes(4, "big")
    if origin in (typing.Union, types.UnionType):
        return full(next(arg for arg in args if arg is not type(None)), path)
    if origin is dict:
        return {key: full(args[1], f"{path}.{key}") for key in ("one", "two")}
    if origin in (list, tuple):
        return [full(args[0], f"{path}.{index}") for index in range(2)]
    return common(hint, path, full)


def sparse(hint: Any, path: str) -> Any:
    """The least value."""
    origin = get_origin(hint)
    least = {str: "", int: -1, float: 0.0, bool: False, bytes: b""}
    if hint in least:
        return least[hint]
    if origin in (typing.Union, types.UnionType):
        return None
    if origin is dict:
        return {}
    if origin in (list, tuple):
        return []
    return common(hint, path, sparse)


def common(hint: Any, path: str, fill: Fill) -> Any:
    """What both fill in the same way: annotations, choices, records."""
    if get_origin(hint) is Annotated:
        return fill(get_args(hint)[0], path)
    if get_origin(hint) is typing.Literal:
        return get_args(hint)[0]
    hints = typing.get_type_hints(hint, include_extras=True)
    fields = msgspec.structs.fields(hint)
    return {f.encode_name: fill(hints[f.name], f"{path}.{f.name}".lstrip(".")) for f in fields}


def golden(cls: type[Message], fill: Fill) -> Golden:
    """A record of ``cls``."""
    message = msgspec.convert(fill(cls, ""), cls)
    return Golden(Codec().written(message).hex(), msgspec.to_builtins(message))


def write_missing() -> list[Path]:
    """Write the goldens that are missing; their paths. Exits if one cannot be made any more."""
    import_messages()
    written = []
    for version in catalog().versions():
        path = path_of(version)
        if path.exists():
            continue
        if catalog().newest(version.message) != version:
            raise SystemExit(f"{path} is missing, and {version.subject} is not the newest version")
        cls = MESSAGES[version.message]
        made = GoldenFile(golden(cls, full), golden(cls, sparse))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(msgspec.to_builtins(made), indent=1, ensure_ascii=False) + "\n")
        written.append(path)
    return written


if __name__ == "__main__":
    for path in write_missing():
        sys.stdout.write(f"{path.relative_to(FOLDER)}\n")
