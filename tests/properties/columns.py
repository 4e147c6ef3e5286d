"""Hold a row against its table: what Postgres would refuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from events.bounds import too_nested

INDEXED_BYTES_MAX = 2_704
"""The largest entry of a B-tree in Postgres."""


def hold(table: Table, row: Mapping[str, Any]) -> None:
    """Assert that ``row`` (of JSON) has all columns of ``table`` and fits into them."""
    assert set(row) == {column.name for column in table.columns}
    for column in table.columns:
        value = row[column.name]
        assert value is not None or column.nullable, f"{table.name}.{column.name} is null"
        if value is not None:
            assert fits(column.type, value), (
                f"{table.name}.{column.name} cannot hold {value!r:.200}"
            )
    keys: list[PrimaryKeyConstraint | Index] = [table.primary_key, *table.indexes]
    for index in keys:
        size = indexed_bytes(index.columns, row)
        assert size <= INDEXED_BYTES_MAX, f"{index.name} of {table.name}: {size} bytes"


def fits(kind: Any, value: Any) -> bool:
    """Whether a column of that type can hold the value."""
    if isinstance(kind, ARRAY):
        return isinstance(value, list) and all(fits(kind.item_type, each) for each in value)
    if isinstance(kind, JSONB):
        return not too_nested(value)
    if isinstance(kind, Text):
        return isinstance(value, str) and "\0" not in value
    if isinstance(kind, LargeBinary):
        return isinstance(value, str) and value.startswith("\\x")
    if isinstance(kind, Boolean):
        return isinstance(value, bool)
    if isinstance(kind, Float):
        return isinstance(value, int | float)
    assert isinstance(kind, Integer), kind
    bits = 63 if isinstance(kind, BigInteger) else 31
    return type(value) is int and -(2**bits) <= value < 2**bits


def indexed_bytes(columns: Iterable[Column[Any]], row: Mapping[str, Any]) -> int:
    """Return how many bytes an entry of an index takes, nearly."""
    values = [row[column.name] for column in columns]
    return sum(len(value.encode()) + 4 if isinstance(value, str) else 8 for value in values)
