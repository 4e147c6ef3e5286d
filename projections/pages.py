"""Pages of a list that end at a number of bytes, not of rows only.

One row may be a thousand times as long as another. Postgres sums up the lengths, which it knows
without reading a long text, so what is left out is never read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

PAGE_BYTES = 4 << 20
"""A page ends with the document that reaches it. A document has up to some hundred KiB, so a
thousand would take a quarter of a GiB of an API's memory."""

Ordered = Sequence[tuple[ColumnElement[Any], bool]]
"""Columns, each with True for descending. No two rows may have the same values of all."""


def page_of(found: Select[Any], order: Ordered, limit: int) -> Select[Any]:
    """Return the first ``limit`` rows of ``found`` in this order, or as many as ``PAGE_BYTES`` have
    room for. ``found`` has a column ``document``."""
    keys = [(column.label(f"key{number}"), down) for number, (column, down) in enumerate(order)]
    first = found.add_columns(*(key for key, _ in keys)).order_by(*directed(keys)).limit(limit)
    rows = first.subquery()
    # The same order thrice: Postgres sees that the rows have it, and sorts them once or never.
    again = directed([(rows.c[key.name], down) for key, down in keys])
    before = func.sum(func.octet_length(rows.c.document)).over(order_by=again, rows=(None, -1))
    sized = select(*rows.c, func.coalesce(before, 0).label("before")).subquery()
    shown = [sized.c[name] for name in found.selected_columns.keys()]  # noqa: SIM118 - no mapping
    still = directed([(sized.c[key.name], down) for key, down in keys])
    return select(*shown).where(sized.c.before < PAGE_BYTES).order_by(*still)


def is_full(documents: Sequence[str], limit: int) -> bool:
    """Whether a page that ``page_of`` found has room for no more."""
    size = sum(len(document.encode()) for document in documents)
    return len(documents) >= limit or size >= PAGE_BYTES


def directed(order: Ordered) -> list[ColumnElement[Any]]:
    """What to give to ORDER BY."""
    return [column.desc() if down else column.asc() for column, down in order]
