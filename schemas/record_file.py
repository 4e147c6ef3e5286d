"""The file of one record type, ``<domain>/<Name>.json``: every version of its Avro schema.

A JSON object, ``{"1": schema, "2": schema, …}``, in order. Each schema is whole, so it can be given
to any Avro tool as it stands. (The file itself cannot: Avro takes a list of schemas for a union,
in which a name may occur once.) Each field has a line of its own, records in records too, so that
a comparison of two commits shows the fields that came.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from schemas.derive import Schema

ALL = "*/*.json"
"""What finds the files of all record types in the folder of schemas."""


def path_of(message: str) -> str:
    """The path of ``compute.ServerCreated`` in the folder: ``compute/ServerCreated.json``."""
    return f"{message.replace('.', '/', 1)}.json"


def message_of(path: str) -> str:
    """The record type whose file has that path."""
    return path.removesuffix(".json").replace("/", ".", 1)


def versions_in(content: bytes) -> list[tuple[int, Schema]]:
    """Number and schema of each version, oldest first. Raises ``ValueError``."""
    return [(int(number), schema) for number, schema in json.loads(content).items()]


def content_of(versions: Sequence[Schema]) -> bytes:
    """The file of these versions, the first of which is number 1."""
    each = [f' "{number}": {_text(v, " ")}' for number, v in enumerate(versions, start=1)]
    return ("{\n" + ",\n".join(each) + "\n}\n").encode()


def _text(value: Any, margin: str) -> str:
    """``value`` as JSON; the doc and the fields of a record on lines that begin with ``margin``."""
    if isinstance(value, list):
        return f"[{', '.join(_text(item, margin) for item in value)}]"
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    own_lines = ("doc", "fields") if value.get("type") == "record" else ()
    made = ""
    for name, item in value.items():
        made += "" if not made else f",\n{margin} " if name in own_lines else ", "
        made += f"{json.dumps(name)}: "
        made += _fields(item, margin) if name in own_lines[1:] else _text(item, margin)
    return f"{{{made}}}"


def _fields(fields: Sequence[Schema], margin: str) -> str:
    inner = f"{margin}  "
    lines = [f"\n{inner}{_text(field, inner)}" for field in fields]
    return f"[{','.join(lines)}\n{margin} ]"
