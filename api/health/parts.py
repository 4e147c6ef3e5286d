"""The parts that can be ill: log, database, projection, deciders; and how many hosts are up.

Hosts are told of and never make the API ill: what they do is not undone by asking another API.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy
from sqlalchemy import func, select

from api.bus import Bus
from api.health.checks import DEGRADED, LIMIT_S, Check, Ill
from api.health.pulse import Pulse
from events.log.contract import Log
from projections.connection import Connection, connect
from projections.fleet.hosts import HOSTS
from projections.fleet.services import troubles
from projections.lag import Lag, Standing

LAG_S_MAX = 5.0
"""Behind for longer than that, reads are too old to be believed."""

TROUBLES_US = 30_000_000
"""What a decider said that long ago may be mended since."""

H = HOSTS.c


def parts(
    log: Log, database_url: str, engine: sqlalchemy.Engine, bus: Bus, pulse: Pulse
) -> Mapping[str, Check]:
    """The checks by name. Opens nothing yet."""
    database, lag = _Database(database_url), Lag(log, database_url)
    return {
        "log": lambda: _log(log),
        "database": database.check,
        "projection": lambda: _projection(lag),
        "decider": lambda: _decider(bus, pulse, engine),
        "hosts": lambda: _hosts(engine),
    }


def _log(log: Log) -> Mapping[str, Any]:
    log.ping(LIMIT_S)
    return {}


class _Database:
    """Asks over a connection of its own, so that busy requests do not make it look ill."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None

    def check(self) -> Mapping[str, Any]:
        connection, self._connection = self._connection, None
        if connection is None:
            connection = connect(self._url, "health", {"statement_timeout": "5s"})
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            self._connection = connection
        finally:
            if self._connection is None:
                connection.close()
        return {}


def _projection(lag: Lag) -> Mapping[str, Any]:
    standing = lag.measure()
    figures = {
        "build": standing.build,
        "behind": sum(standing.behind.values()),
        "lag_s": round(standing.seconds, 1),
        "set_aside": standing.set_aside,
        "set_aside_named": list(standing.set_aside_named),
        "waiting": dict(standing.waiting),
    }
    if not standing.followed:
        raise Ill("no projector follows the log", figures)
    if standing.seconds > LAG_S_MAX:
        raise Ill(f"reads are {standing.seconds:.0f} s behind the log", figures)
    if told := _degraded(standing):
        figures[DEGRADED] = told
    return figures


def _degraded(standing: Standing) -> str:
    """What the tables do not show, empty when they show all."""
    told = []
    if standing.set_aside:
        named = ", ".join(standing.set_aside_named)
        more = standing.set_aside - len(standing.set_aside_named)
        and_more = f" and {more} more" if more > 0 else ""
        told.append(f"{standing.set_aside} aggregates are set aside: {named}{and_more}")
    if standing.waiting:
        told.append(f"partitions wait: {', '.join(sorted(standing.waiting))}")
    return "; ".join(told)


def _decider(bus: Bus, pulse: Pulse, engine: sqlalchemy.Engine) -> Mapping[str, Any]:
    try:
        figures = dict(pulse.check(bus, LIMIT_S * 0.9))
    except Ill as silent:
        if found := _troubles(engine):
            raise Ill("; ".join([str(silent), *found]), silent.figures) from None
        raise
    found = _troubles(engine)
    if told := figures.get(DEGRADED):
        found.insert(0, told)
    return {**figures, DEGRADED: "; ".join(found)} if found else figures


def _troubles(engine: sqlalchemy.Engine) -> list[str]:
    """What deciders said of late that waits, and why."""
    with engine.connect() as connection:
        return troubles(connection, time.time_ns() // 1000 - TROUBLES_US)


def _hosts(engine: sqlalchemy.Engine) -> Mapping[str, Any]:
    counted = select(H.up, H.disabled, func.count()).where(~H.deleted).group_by(H.up, H.disabled)
    figures = {"up": 0, "down": 0, "disabled": 0}
    with engine.connect() as connection:
        for up, disabled, count in connection.execute(counted):
            figures["up" if up else "down"] += count
            figures["disabled"] += count if disabled else 0
    return figures
