"""Lists of documents, filtered and paged, from any of identity's tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
import orjson
from sqlalchemy import ColumnElement, Engine, Table, func, select, tuple_

Comparison = Literal["equals", "contains", "startswith", "endswith", "among", "has_all", "has_any"]


class UnknownMarker(LookupError):
    """The marker names nothing that there is."""


class Match(msgspec.Struct, frozen=True):
    """One filter: ``column`` compared with ``value``; texts may ignore case.

    ``among``: the value is a list of which the column is one; ``has_all``, ``has_any``: the
    column is an array that has all, or any, of the value's. Nothing is among no values.
    """

    column: str
    value: Any
    comparison: Comparison = "equals"
    ignore_case: bool = False
    negated: bool = False


class Page(msgspec.Struct, frozen=True):
    """Which part of a list, in which order. ``limit`` None: all of it."""

    limit: int | None = None
    marker: str | None = None
    sort_key: str = "name"
    descending: bool = False


def documents(
    engine: Engine,
    table: Table,
    matches: Iterable[Match] = (),
    page: Page | None = None,
) -> list[dict[str, Any]]:
    """The documents of what is not deleted. Raises ``UnknownMarker``."""
    page = page or Page()
    order: Sequence[Any] = (table.c[page.sort_key], table.c.id)
    statement = select(table.c.document).where(
        ~table.c.deleted, *(_condition(table, match) for match in matches)
    )
    with engine.connect() as connection:
        if page.marker is not None:
            mark = connection.execute(
                select(*order).where(table.c.id == page.marker, ~table.c.deleted)
            ).first()
            if mark is None:
                raise UnknownMarker(page.marker)
            place = tuple_(*order)
            statement = statement.where(
                place < tuple(mark) if page.descending else place > tuple(mark)
            )
        statement = statement.order_by(*(c.desc() if page.descending else c for c in order))
        found = connection.execute(statement.limit(page.limit)).scalars().all()
    return [orjson.loads(document) for document in found]


def document(engine: Engine, table: Table, id: str) -> dict[str, Any] | None:
    """One document by its id."""
    statement = select(table.c.document).where(table.c.id == id, ~table.c.deleted)
    with engine.connect() as connection:
        found = connection.execute(statement).scalar()
    return None if found is None else orjson.loads(found)


def _condition(table: Table, match: Match) -> ColumnElement[bool]:
    column: Any = table.c[match.column]
    value = match.value
    if match.ignore_case:
        column, value = func.lower(column), value.lower()
    made: ColumnElement[bool]
    match match.comparison:
        case "equals":
            made = column.is_(None) if value is None else column == value
        case "among":
            made = column.in_(value)
        case "has_all":
            made = column.contains(value)
        case "has_any":
            made = column.overlap(value)
        case _:
            made = getattr(column, match.comparison)(value, autoescape=True)
    return ~made if match.negated else made
