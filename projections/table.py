"""What a projection is: a table, and how an aggregate's state becomes its row.

Each projected aggregate has one table with one row for each aggregate, upserted whole: the
row is a function of the state alone, so a rebuild gives the same rows. Columns are for
filtering and sorting; ``document`` columns hold ready-made JSON for the API's views. The
standard columns hold what the projector itself needs to go on after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, Table, Text

from events.log.contract import Record

METADATA = MetaData()
"""All projected tables, without a schema: a build's schema is chosen by search_path."""

Row = Mapping[str, object]


class Projected(msgspec.Struct, frozen=True):
    """``row(state)`` gives the table's own columns (not the standard ones) for a state."""

    aggregate: str
    table: Table
    row: Callable[[Any], Row]
    version: int


PROJECTED: dict[str, Projected] = {}
"""By aggregate."""


def projected_table(name: str, *columns: Column[Any] | Index) -> Table:
    """A table with the standard columns: ``id`` (the aggregate's id, primary key), ``state`` (the
    state, msgpack), ``sequence`` (events folded into it)."""
    return Table(
        name,
        METADATA,
        Column("id", Text, primary_key=True),
        *columns,
        Column("state", LargeBinary, nullable=False),
        Column("sequence", BigInteger, nullable=False),
    )


def project(aggregate: str, table: Table, row: Callable[[Any], Row], version: int = 1) -> None:
    """Project ``aggregate`` into ``table``. Raise ``version`` whenever ``row`` or the table's
    columns change: the projection is then rebuilt."""
    if aggregate in PROJECTED:
        raise TypeError(f"{aggregate} is projected twice")
    PROJECTED[aggregate] = Projected(aggregate, table, row, version)


class Followed(msgspec.Struct, frozen=True):
    """A topic beside the events: ``rows(records)`` gives rows of ``table``, upserted by its
    primary key in the order given. Not part of a build's truth: never replayed from the start."""

    topic: str
    table: Table
    rows: Callable[[Sequence[Record]], Sequence[Row]]


FOLLOWED: dict[str, Followed] = {}
"""By topic."""


def follow(topic: str, table: Table, rows: Callable[[Sequence[Record]], Sequence[Row]]) -> None:
    """Have the projector keep ``table`` up to date from a short-lived ``topic``."""
    FOLLOWED[topic] = Followed(topic, table, rows)
