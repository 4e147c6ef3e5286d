"""Reading instance actions and their events, newest first."""

from __future__ import annotations

import msgspec
from sqlalchemy import Engine, select

from projections.actions import INSTANCE_ACTION_EVENTS, INSTANCE_ACTIONS

A = INSTANCE_ACTIONS.c
E = INSTANCE_ACTION_EVENTS.c


class UnknownMarker(LookupError):
    """The marker is no request id of that server's actions."""


class ActionRow(msgspec.Struct, frozen=True):
    """An action. Times in microseconds since 1970."""

    server_id: str
    request_id: str
    action: str
    user_id: str | None
    project_id: str | None
    start_time: int
    updated_at: int
    message: str | None


class EventRow(msgspec.Struct, frozen=True):
    """A step of an action. ``result`` is Success, Error, or None while it runs."""

    event: str
    start_time: int
    finish_time: int | None
    result: str | None
    traceback: str | None
    host: str | None
    host_id: str | None
    details: str | None


ACTION = tuple(A[name] for name in ActionRow.__struct_fields__)
EVENT = tuple(E[name] for name in EventRow.__struct_fields__)


def list_actions(
    engine: Engine,
    server_id: str,
    *,
    limit: int,
    marker: str | None = None,
    since: int | None = None,
    before: int | None = None,
) -> list[ActionRow]:
    """A page of a server's actions, newest first. Raises ``UnknownMarker``."""
    statement = select(*ACTION).where(A.server_id == server_id)
    with engine.connect() as connection:
        if marker is not None:
            last = connection.execute(
                select(A.position).where(A.server_id == server_id, A.request_id == marker)
            ).scalar()
            if last is None:
                raise UnknownMarker(marker)
            statement = statement.where(A.position < last)
        if since is not None:
            statement = statement.where(A.updated_at >= since)
        if before is not None:
            statement = statement.where(A.updated_at <= before)
        statement = statement.order_by(A.position.desc()).limit(limit)
        return [ActionRow(*tuple(found)) for found in connection.execute(statement)]


def find_action(engine: Engine, server_id: str, request_id: str) -> ActionRow | None:
    """The action that a request began on a server."""
    statement = select(*ACTION).where(A.server_id == server_id, A.request_id == request_id)
    with engine.connect() as connection:
        found = connection.execute(statement).first()
    return None if found is None else ActionRow(*tuple(found))


def list_events(engine: Engine, server_id: str, request_id: str) -> list[EventRow]:
    """The steps of an action, newest first."""
    statement = (
        select(*EVENT)
        .where(E.server_id == server_id, E.request_id == request_id)
        .order_by(E.position.desc())
    )
    with engine.connect() as connection:
        return [EventRow(*tuple(found)) for found in connection.execute(statement)]
