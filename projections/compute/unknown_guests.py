"""Guests that hosts hold and the log does not know, as rows; the id is ``<host>/<server id>``.

A settled one (adopted, removed, known again) stays as a row that no list shows.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Engine, Index, Integer, Text, select

from events.compute.unknown_guest import UnknownGuest, guest_id
from events.state_codec import decode_state
from projections.table import Row, project, projected_table

VERSION = 1

UNKNOWN_GUESTS = projected_table(
    "unknown_guests",
    Column("host", Text, nullable=False),
    Column("server_id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("found_at", BigInteger, nullable=False),
    Column("settled", Boolean, nullable=False),
    Index("unknown_guests_by_host", "host", "server_id"),
)


def row(guest: UnknownGuest) -> Row:
    """The row of a guest."""
    return {
        "host": guest.host,
        "server_id": guest.server_id,
        "project_id": guest.project_id,
        "generation": guest.generation,
        "found_at": guest.found_at,
        "settled": guest.settled,
    }


def list_unknown_guests(engine: Engine) -> list[UnknownGuest]:
    """Those that an operator has to decide about, by host."""
    table = UNKNOWN_GUESTS.c
    statement = select(table.state).where(~table.settled).order_by(table.host, table.server_id)
    with engine.connect() as connection:
        found = connection.execute(statement).scalars().all()
    return [decode_state(state, UnknownGuest) for state in found]


def find_unknown_guest(engine: Engine, host: str, server_id: str) -> UnknownGuest | None:
    """The unknown guest of that server on that host."""
    table = UNKNOWN_GUESTS.c
    statement = select(table.state).where(table.id == guest_id(host, server_id), ~table.settled)
    with engine.connect() as connection:
        state = connection.execute(statement).scalar()
    return None if state is None else decode_state(state, UnknownGuest)


project("unknown_guest", UNKNOWN_GUESTS, row, VERSION)
