"""Reading servers: one by id, and lists by filter, order and page.

One by id is the hot path: a constant statement straight to the driver. Lists use the indexes of
``servers.py`` in their default order (newest first), also for the pages after a marker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    and_,
    not_,
    select,
    true,
)
from sqlalchemy.exc import DataError

from projections.compute.server_order import Order, after, complete, ordering
from projections.compute.servers import SERVERS
from projections.pages import directed, page_of

C = SERVERS.c

ONE = (
    "SELECT id, project_id, user_id, host, vm_state, task_state, flavor_id, image_id, locked_by,"
    " deleted, document FROM servers WHERE id = %s"
)
VIEWED = (C.id, C.host, C.flavor_id, C.document)
NAMED = (C.id, C.name)


class ServerRow(msgspec.Struct, frozen=True, gc=False):
    """A server as found: what authorisation and the view need."""

    id: str
    project_id: str
    user_id: str
    host: str | None
    vm_state: str
    task_state: str | None
    flavor_id: str
    image_id: str
    locked_by: str | None
    deleted: bool
    document: str


class Viewed(msgspec.Struct, frozen=True, gc=False):
    """A server in a list: what the view needs."""

    id: str
    host: str | None
    flavor_id: str
    document: str


class Named(msgspec.Struct, frozen=True, gc=False):
    """A server in a brief list."""

    id: str
    name: str


class BadPattern(ValueError):
    """A filter is not a regular expression that the database understands."""


class UnknownMarker(LookupError):
    """The marker is no server's id."""


def find_server(engine: Engine, server_id: str) -> ServerRow | None:
    """The server of that id, whoever owns it; deleted ones are found too. Raises the driver's
    own errors (``projections.connection.GONE``) when Postgres is away."""
    connection = engine.raw_connection()  # 0.02 ms of CPU instead of 0.06 through SQLAlchemy
    try:
        cursor = connection.cursor()
        cursor.execute(ONE, (server_id,))
        found = cursor.fetchone()
        cursor.close()
    finally:
        connection.close()
    return None if found is None else ServerRow(*found)


EXACT: dict[str, ColumnElement[Any]] = {
    "project_id": C.project_id,
    "user_id": C.user_id,
    "uuid": C.id,
    "host": C.host,
    "node": C.node,
    "image": C.image_id,
    "flavor": C.flavor_id,
    "reservation_id": C.reservation_id,
    "vm_state": C.vm_state,
    "task_state": C.task_state,
    "power_state": C.power_state,
    "launch_index": C.launch_index,
    "locked_by": C.locked_by,
    "config_drive": C.config_drive,
    "key_name": C.key_name,
    "disk_config": C.disk_config,
    "deleted": C.deleted,
}
PATTERN: dict[str, ColumnElement[Any]] = {
    "name": C.name,
    "hostname": C.hostname,
    "description": C.description,
    "availability_zone": C.availability_zone,
    "access_ip_v4": C.access_ip_v4,
    "access_ip_v6": C.access_ip_v6,
}


class ServerQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. ``exact``: column equals one of the values; ``patterns``: it matches the
    regular expression; ``at``: (column, operator, microseconds); ``none``: nothing can match."""

    exact: Mapping[str, Sequence[object]] = {}
    patterns: Mapping[str, str] = {}
    at: Sequence[tuple[str, str, int]] = ()
    tags_all: Sequence[str] = ()
    tags_any: Sequence[str] = ()
    tags_not_all: Sequence[str] = ()
    tags_not_any: Sequence[str] = ()
    locked: bool | None = None
    none: bool = False
    order: Sequence[Order] = (Order(),)
    limit: int = 1000
    marker: str | None = None


def list_servers(engine: Engine, query: ServerQuery) -> list[Viewed]:
    """A page of servers, cut as ``page_of`` says. Raises ``UnknownMarker`` or ``BadPattern``."""
    return [Viewed(*tuple(found)) for found in _page(engine, query, VIEWED)]


def list_names(engine: Engine, query: ServerQuery) -> list[Named]:
    """As ``list_servers``, ids and names only; all that the limit allows."""
    return [Named(*tuple(found)) for found in _page(engine, query, NAMED)]


def _page(
    engine: Engine, query: ServerQuery, columns: Sequence[ColumnElement[Any]]
) -> Sequence[Row[Any]]:
    order = complete(query.order)
    ordered = [(ordering(item.key), item.descending) for item in order]
    statement = select(*columns).where(_matching(query))
    with engine.connect() as connection:
        if query.marker is not None:
            statement = statement.where(after(order, _marked(connection, order, query)))
        if query.none or not query.limit:
            return []
        if columns is VIEWED:
            statement = page_of(statement, ordered, query.limit)
        else:
            statement = statement.order_by(*directed(ordered)).limit(query.limit)
        try:
            return connection.execute(statement).all()
        except DataError as error:
            raise BadPattern(str(error.orig).splitlines()[0]) from None


def _marked(connection: Connection, order: Sequence[Order], query: ServerQuery) -> Row[Any]:
    """The marker's values of the order's columns; one of another project is unknown."""
    statement = select(*(ordering(item.key) for item in order)).where(C.id == query.marker)
    if "project_id" in query.exact:
        statement = statement.where(C.project_id.in_(query.exact["project_id"]))
    found = connection.execute(statement).first()
    if found is None:
        raise UnknownMarker(query.marker)
    return found


OPERATORS = {">=": "__ge__", "<=": "__le__", "=": "__eq__"}


def _matching(query: ServerQuery) -> ColumnElement[bool]:
    wanted: list[ColumnElement[bool]] = [true()]
    for name, values in query.exact.items():
        column = EXACT[name]
        if column is C.deleted:
            wanted.append(column if values[0] else ~column)
        else:
            wanted.append(column == values[0] if len(values) == 1 else column.in_(values))
    wanted += [PATTERN[name].regexp_match(value) for name, value in query.patterns.items()]
    wanted += [getattr(C[name], OPERATORS[sign])(at) for name, sign, at in query.at]
    wanted += _tagged(query)
    if query.locked is not None:
        wanted.append(C.locked_by.is_not(None) if query.locked else C.locked_by.is_(None))
    return and_(*wanted)


def _tagged(query: ServerQuery) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if query.tags_all:
        wanted.append(C.tags.contains(list(query.tags_all)))
    if query.tags_any:
        wanted.append(C.tags.overlap(list(query.tags_any)))
    if query.tags_not_all:
        wanted.append(not_(C.tags.contains(list(query.tags_not_all))))
    if query.tags_not_any:
        wanted.append(not_(C.tags.overlap(list(query.tags_not_any))))
    return wanted
