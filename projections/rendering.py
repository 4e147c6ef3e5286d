"""Rows as JSON texts: what a batch's states and notes become before Postgres sees them.

A state that cannot be rendered, or holds what JSON cannot, sets its aggregate aside; the others
are not touched by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from events.state_codec import encode_state
from projections.aside import reason
from projections.fold import Batch, Folded, Key
from projections.model import ReadModel

_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def as_bytes(value: object) -> bytes:
    """A row, or rows, as JSON. Text in Postgres cannot hold NUL: U+FFFD stands for it."""
    made = orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    return _NUL.sub(rb"\1\\ufffd", made) if b"\\u0000" in made else made


def as_json(rows: Sequence[object]) -> str:
    """Rows as the text of a JSON array."""
    return as_bytes(rows).decode()


def array(rows: Iterable[bytes]) -> str:
    """The text of a JSON array of rows that are JSON already."""
    return (b"[" + b",".join(rows) + b"]").decode()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return "\\x" + bytes(value).hex()
    return msgspec.to_builtins(value)


class Rendered(msgspec.Struct):
    """By table: the rows of some aggregates, the ids of those that have none; and why rows of
    others cannot be made."""

    rows: dict[str, list[bytes]] = {}
    gone: dict[str, list[str]] = {}
    failed: dict[Key, str] = {}


def render(model: ReadModel, touched: Mapping[Key, Folded]) -> Rendered:
    """The rows of these aggregates."""
    made = Rendered()
    for key, (state, sequence) in touched.items():
        projected = model.projected[key[0]]
        table = projected.table.name
        if state is None:
            made.gone.setdefault(table, []).append(key[1])
            continue
        try:
            row = dict(projected.row(state))
            row.update(id=key[1], state=encode_state(state), sequence=sequence)
            made.rows.setdefault(table, []).append(as_bytes(row))
        except Exception as error:  # noqa: BLE001 - recorded with the aggregate's note
            made.failed[key] = reason(error)
    return made


def render_batch(model: ReadModel, batch: Batch) -> Rendered:
    """The rows of a batch; aggregates that have none for an error are set aside in it."""
    made = render(model, batch.touched)
    for key, error in made.failed.items():
        batch.set_aside(key, batch.latest[key], error)
    return made
