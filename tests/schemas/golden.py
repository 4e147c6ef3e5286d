"""Golden records: for each version of each message, bytes that every later release can read.

``golden/<domain>.jsonl`` has two records of each version, one with every field filled and one with
as little as the schema allows. Each is a line: its bytes, and the value that they mean. Lines are
ordered by name and version. ``python -m tests.schemas.golden`` (part of ``make schemas``) adds
those that are missing; a line that is there is never rewritten. A golden can only be made while its
version is the newest: values come from the class.

Where an upcaster changes what an old record means, ``upcast.jsonl`` beside the folder tells by hand
what it means today: such lines without bytes.
"""

from __future__ import annotations

import json
import sys
import types
import typing
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from events.log.records import Codec
from events.message import MESSAGES
from schemas.catalog import Catalog, Version, catalog
from schemas.commit import import_messages

FOLDER = Path(__file__).with_suffix("")
UPCAST = FOLDER.with_name("upcast.jsonl")

Kind = Literal["full", "sparse"]
Place = tuple[str, int, Kind]
"""Name, version and kind: what lines are ordered by."""

Fill = Callable[[Any, str], Any]
"""A value of a type, for the field at that path."""


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """One record."""

    name: str
    """Of the message, e.g. ``compute.ServerCreated``."""
    version: int
    kind: Kind
    bytes: str = ""
    """Hex of the whole value, schema id included."""
    value: dict[str, Any]
    """The message as JSON, its bytes in base64."""

    @property
    def place(self) -> Place:
        """Where it belongs."""
        return self.name, self.version, self.kind


class Goldens(msgspec.Struct, frozen=True):
    """The records of one version."""

    full: Golden
    sparse: Golden


def path_of(version: Version) -> Path:
    """Where the goldens of a version lie."""
    return FOLDER / f"{version.message.partition('.')[0]}.jsonl"


def parse(lines: str) -> list[Golden]:
    """The records in ``lines``, in their order."""
    return msgspec.json.Decoder(Golden).decode_lines(lines)


@cache
def read_file(path: Path) -> dict[Place, Golden]:
    """All records of a file."""
    return {golden.place: golden for golden in parse(path.read_text(encoding="utf-8"))}


def read(version: Version) -> Goldens:
    """The committed goldens. Raises ``KeyError`` where there are none."""
    there = read_file(path_of(version))
    name, number = version.message, version.version
    return Goldens(there[name, number, "full"], there[name, number, "sparse"])


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


FILLS: dict[Kind, Fill] = {"full": full, "sparse": sparse}


def golden(version: Version, kind: Kind) -> Golden:
    """A record of the newest ``version`` of a message."""
    cls = MESSAGES[version.message]
    message = msgspec.convert(FILLS[kind](cls, ""), cls)
    return Golden(
        name=version.message,
        version=version.version,
        kind=kind,
        bytes=Codec().written(message).hex(),
        value=msgspec.to_builtins(message),
    )


def write_missing(schemas: Catalog, folder: Path = FOLDER) -> dict[str, int]:
    """Add the goldens that are missing in ``folder``: how many to which file. Lines that a merge
    left in another order are ordered. Exits, and writes nothing, if one cannot be made any more."""
    lines: dict[Path, dict[Place, str]] = {}
    added: dict[Path, int] = defaultdict(int)
    for version in schemas.versions():
        path = folder / path_of(version).name
        there = lines.setdefault(path, _lines(path))
        for kind in FILLS:
            if (version.message, version.version, kind) in there:
                continue
            if schemas.newest(version.message) != version:
                raise SystemExit(f"{version.subject} has no golden and is not the newest version")
            made = golden(version, kind)
            there[made.place] = json.dumps(msgspec.to_builtins(made), ensure_ascii=False)
            added[path] += 1
    folder.mkdir(exist_ok=True)
    for path, there in lines.items():
        text = "".join(f"{line}\n" for _, line in sorted(there.items()))
        path.write_text(text, encoding="utf-8")
    return {path.name: count for path, count in added.items()}


def _lines(path: Path) -> dict[Place, str]:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = [line for line in text.split("\n") if line]
    return {golden.place: line for golden, line in zip(parse(text), lines, strict=True)}


def rewritten(then: Mapping[str, bytes], now: Mapping[str, bytes]) -> Iterator[str]:
    """The lines of the files of ``then`` that are not in those of ``now``."""
    for name, content in then.items():
        kept = now.get(name, b"").splitlines()
        if name.endswith(".jsonl"):
            yield from (
                f"{name}: {line.decode()}" for line in content.splitlines() if line not in kept
            )


if __name__ == "__main__":
    import_messages()
    added = write_missing(catalog())
    for name, count in added.items():
        sys.stdout.write(f"golden/{name}: {count} records added\n")
    if not added:
        sys.stdout.write("golden: nothing is missing\n")
