"""Looking into the tables."""

from __future__ import annotations

from typing import Any

from projections import builds
from projections.builds import Build
from projections.connection import Connection
from projections.follower import Follower, event_sources
from projections.model import read_model


def rows(control: Connection, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """What a query gives."""
    with control.cursor() as cursor:
        cursor.execute(query, arguments or None)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def content(control: Connection, schema: str) -> dict[str, list[str]]:
    """Every row of every table of a build as text, but where the followed tables stand."""
    return {
        table.name: [
            text
            for (text,) in rows(control, f"SELECT t::text FROM {schema}.{table.name} t ORDER BY 1")
        ]
        for table in read_model().tables
        if table.name not in ("positions", "service_heartbeats")
    }


def new_build(control: Connection, log: Any) -> Build:
    """An empty build."""
    builds.install(control)
    sources = event_sources(log, read_model())
    return builds.create(control, read_model(), log.identity(), sources)


def follower(log: Any, url: str, build: Build, **options: Any) -> Follower:
    """A follower of all partitions, open."""
    made = Follower(log, url, build, event_sources(log, read_model()), read_model(), **options)
    made.open()
    return made


def catch_up(one: Follower) -> int:
    """Step until level; how many events it was."""
    events = 0
    while one.behind():
        events += one.step(1.0)
    return events


def forge(control: Connection, old: bytes, new: bytes) -> None:
    """Change a text in the records of the Postgres log, wherever it occurs; of equal length."""
    ((schema,),) = rows(
        control, "SELECT table_schema FROM information_schema.tables WHERE table_name = 'record'"
    )
    assert len(old) == len(new)
    assert rows(
        control,
        f"UPDATE {schema}.record SET value = overlay(value placing %s from position(%s in value))"
        " WHERE position(%s in value) > 0 RETURNING 1",
        new,
        old,
        old,
    )
