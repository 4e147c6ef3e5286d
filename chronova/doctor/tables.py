"""Database, projection and hosts: reachable, level, up."""

from __future__ import annotations

import time
from collections.abc import Iterator

from chronova.doctor.finding import Finding, failed, ok, warning
from chronova.doctor.records import skew
from chronova.settings import Settings
from events.log.contract import Log, LogError
from projections import aside
from projections.builds import LIVE_SCHEMA
from projections.connection import GONE, connect, sentence
from projections.failures import ProjectionError, ProjectionNotReady
from projections.lag import Lag, Standing
from projections.model import read_model

VERSION_MIN = 140000
SHOWN_MAX = 10
LAG_WARNING_S, LAG_FAILED_S = 1.0, 10.0
HEARD_US = 60_000_000


def examine(settings: Settings, log: Log | None) -> Iterator[Finding]:
    """All of it, as far as the database answers. ``log`` None: it does not answer."""
    if not settings.database_url:
        advice = "set database = postgresql://…; `chronova up` brings one of its own"
        yield failed("database", "none is set", advice)
        return
    try:
        yield from database(settings.database_url)
    except GONE as error:
        advice = "start it, or mend the setting `database`"
        yield failed("database", sentence(error), advice)
        return
    if log is not None:
        yield from projection(settings, log)
    yield from deciders(settings)
    yield from hosts(settings)


def database(url: str) -> Iterator[Finding]:
    """Version and clock. Raises one of ``GONE``."""
    connection = connect(url, "doctor", {"statement_timeout": "5s"})
    try:
        with connection.cursor() as cursor:
            began = time.time()
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
            (at,) = cursor.fetchone() or (began,)
            ended = time.time()
        version = connection.server_version
    finally:
        connection.close()
    seen = f"Postgres {version // 10000}.{version % 10000}"
    if version < VERSION_MIN:
        yield failed("database", seen, "Postgres 14 or later is needed")
    else:
        yield ok("database", seen)
    yield skew("database's clock", max(began - at, at - ended, 0.0))


def projection(settings: Settings, log: Log) -> Iterator[Finding]:
    """Made by this version, followed, level."""
    lag = Lag(log, settings.database_url)
    try:
        standing = lag.measure()
    except ProjectionNotReady as error:
        yield failed("projection", str(error), "start a projector: chronova serve projector")
        return
    except (LogError, ProjectionError, *GONE) as error:
        yield failed("projection", sentence(error), "see the projector's log")
        return
    finally:
        lag.close()
    if standing.version != read_model().version():
        seen = f"build {standing.build} was made by another version of Chronova"
        advice = "start this version's projector: it builds beside, and switches when level"
        yield failed("projection", seen, advice)
    yield from not_taken(settings.database_url, standing)
    behind = sum(standing.behind.values())
    seen = f"build {standing.build}, {behind} events behind, {standing.seconds:.1f} s"
    if not standing.followed:
        advice = (
            "start a projector: chronova serve projector; its log says why it ended. If the log was"
            " restored from an older copy: chronova projection rebuild"
        )
        yield failed("projection", f"nobody follows; {seen}", advice)
    elif standing.seconds > LAG_FAILED_S:
        yield failed("projection", seen, "is the projector's or the database's machine too busy?")
    elif standing.seconds > LAG_WARNING_S:
        yield warning("projection", seen, "look again in a minute: it should be level")
    else:
        yield ok("projection", seen)


def not_taken(url: str, standing: Standing) -> Iterator[Finding]:
    """What is set aside, and which partitions wait."""
    for partition, reason in sorted(standing.waiting.items()):
        advice = (
            "all else goes on. An unknown schema or message: start this log's version of Chronova."
            " A broken chain: `chronova log verify`, then restore the log from a backup, and"
            " `chronova projection rebuild`"
        )
        yield failed("projection", f"{partition} waits: {reason}", advice)
    if not standing.set_aside:
        return
    connection = connect(url, "doctor", {"statement_timeout": "5s"})
    try:
        notes = aside.notes(connection, LIVE_SCHEMA)
    finally:
        connection.close()
    for note in notes[:SHOWN_MAX]:
        seen = f"{note.aggregate} {note.id[:100]} is set aside since {note.event}: {note.error}"
        advice = "with a version that can show it: `chronova projection heal`"
        yield failed("projection", seen, advice)
    if len(notes) > SHOWN_MAX:
        more = f"{len(notes) - SHOWN_MAX} more aggregates are set aside"
        yield failed("projection", more, "`chronova projection status --json` lists them all")


def deciders(settings: Settings) -> Iterator[Finding]:
    """What deciders said of late that they cannot do by themselves."""
    from sqlalchemy.exc import SQLAlchemyError

    from projections.fleet.services import troubles
    from projections.live import engine

    try:
        with engine(settings.database_url, 1).connect() as connection:
            found = troubles(connection, time.time_ns() // 1000 - HEARD_US)
    except (ProjectionNotReady, SQLAlchemyError):
        return  # said by what is examined before
    for trouble in found[:SHOWN_MAX]:
        advice = (
            "all else goes on. What is folded decides when that is done. A journal that cannot be"
            " read: `chronova log verify`, and this log's version of Chronova. A receiver"
            " that is missing: its host's agent makes its topic"
        )
        yield failed("deciders", trouble, advice)
    if not found:
        yield ok("deciders", "nothing waits for help")


def hosts(settings: Settings) -> Iterator[Finding]:
    """How many are up."""
    from sqlalchemy.exc import SQLAlchemyError

    from chronova.inspect.state import services
    from projections.live import engine

    try:
        found = services(engine(settings.database_url, 1), settings)
    except (ProjectionNotReady, SQLAlchemyError) as error:
        yield failed("hosts", sentence(error), "the projection comes first")
        return
    computes = [row for row in found if row["binary"] == "nova-compute"]
    down = [row["host"] for row in computes if row["state"] != "up"]
    if not computes:
        advice = "start an agent on each host: chronova serve agent"
        yield warning("hosts", "no compute host has registered", advice)
    elif down:
        advice = "look at the agent's log on it; are its clock and its way to the log well?"
        seen = f"{len(down)} of {len(computes)} are down: {', '.join(sorted(down)[:10])}"
        yield failed("hosts", seen, advice)
    else:
        yield ok("hosts", f"{len(computes)} up")
    if not any(row["binary"] == "nova-scheduler" and row["state"] == "up" for row in found):
        advice = "start a decider: chronova serve decider"
        yield failed("scheduler", "no scheduler has been heard lately", advice)
