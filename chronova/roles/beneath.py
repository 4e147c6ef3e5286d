"""What lies beneath the roles: the site's own Postgres and broker, started again when they died.

Not a role that stays: the supervisor looks for what is missing, and a process of its own starts
that and ends, because a start may take many seconds. What somebody else runs is left alone.
"""

from __future__ import annotations

from collections.abc import Callable

import psutil

from chronova.embedded import broker
from chronova.embedded.postgres import EmbeddedPostgres
from chronova.settings import Settings


def missing(settings: Settings) -> dict[str, Callable[[], object]]:
    """What this site runs itself and does not live: by its name, how it is started."""
    found: dict[str, Callable[[], object]] = {}
    database = EmbeddedPostgres(settings.data_path / "postgres")
    if settings.database == database.url and database.cluster.exists() and database.pid is None:
        found["postgres"] = lambda: _start_database(settings)
    folder = settings.data_path / "kafka"
    if _is_ours(settings) and broker.running(folder) is None:
        found["broker"] = lambda: broker.start(folder)
    return found


def processes(settings: Settings) -> dict[str, psutil.Process | None]:
    """The processes of what this site runs itself, by name; None: it does not live."""
    found: dict[str, psutil.Process | None] = {}
    database = EmbeddedPostgres(settings.data_path / "postgres")
    if settings.database == database.url:
        pid = database.pid
        found["postgres"] = psutil.Process(pid) if pid is not None else None
    if _is_ours(settings):
        found["broker"] = broker.running(settings.data_path / "kafka")
    return found


def serve(settings: Settings) -> None:
    """Start what is missing. Raises ``PostgresFailed`` or ``BrokerError``."""
    for start in missing(settings).values():
        start()


def _start_database(settings: Settings) -> None:
    from chronova import site  # it knows the supervisor, which knows this module

    site.start_database(settings)


def _is_ours(settings: Settings) -> bool:
    properties = settings.data_path / "kafka" / "server.properties"
    address = settings.log.partition("://")[2]
    return (
        settings.log.startswith("kafka:")
        and properties.exists()
        and f"//{address}\n" in properties.read_text().replace(",", "\n")
    )
