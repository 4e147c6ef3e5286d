"""Lists of documents, filtered and paged, from any of identity's tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
import orjson
from sqlalchemy import ColumnElement, Engine, Select, Table, func, select, tuple_

from projections.pages import is_full, page_of

ROWS_MAX = 100_000
"""Of a page without a limit; its bytes are full long before."""

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
    """Which part of a list, in which order. ``limit`` None: as much as fits one answer."""

    limit: int | None = None
    marker: str | None = None
    sort_key: str = "name"
    descending: bool = False


def documents(engine: Engine, table: Table, matches: Iterable[Match] = ()) -> list[dict[str, Any]]:
    """The documents of all that is not deleted, by name. For what is not sent as it is."""
    order: Sequence[Any] = (table.c[Page().sort_key], table.c.id)
    with engine.connect() as connection:
        found = connection.execute(_matching(table, matches).order_by(*order)).scalars().all()
    return [orjson.loads(document) for document in found]


def page_of_documents(
    engine: Engine, table: Table, matches: Iterable[Match], page: Page
) -> tuple[list[dict[str, Any]], bool]:
    """The documents of a page of what is not deleted, as many as ``PAGE_BYTES`` have room for; and
    whether it is full, so that there may be more. Raises ``UnknownMarker``."""
    order: Sequence[Any] = (table.c[page.sort_key], table.c.id)
    statement = _matching(table, matches)
    limit = ROWS_MAX if page.limit is None else page.limit
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
        query = page_of(statement, [(column, page.descending) for column in order], limit)
        found = connection.execute(query).scalars().all()
    return [orjson.loads(document) for document in found], is_full(found, limit)


def _matching(table: Table, matches: Iterable[Match]) -> Select[Any]:
    return select(table.c.document).where(
        ~table.c.deleted, *(_condition(table, match) for match in matches)
    )


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
