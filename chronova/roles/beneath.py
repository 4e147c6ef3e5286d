"""What lies beneath the roles: the site's own Postgres and broker, started again when they died.

Not a role that stays: the supervisor looks for what is missing, and a process of its own starts
that and ends, because a start may take many seconds. What somebody else runs is left alone.
"""

from __future__ import annotations

from collections.abc import Callable

import psutil

from chronova.embedded import broker
from chronova.embedded.addresses import EMBEDDED, broker_folder, postgres_folder
from chronova.embedded.postgres import EmbeddedPostgres
from chronova.settings import Settings


def missing(settings: Settings) -> dict[str, Callable[[], object]]:
    """What this site runs itself and does not live: by its name, how it is started."""
    starts: dict[str, Callable[[], object]] = {
        "postgres": _postgres(settings).start,
        "broker": lambda: broker.start(broker_folder(settings.data_path)),
    }
    return {name: starts[name] for name, found in processes(settings).items() if found is None}


def processes(settings: Settings) -> dict[str, psutil.Process | None]:
    """The processes of what this site runs itself, by name; None: it does not live."""
    found: dict[str, psutil.Process | None] = {}
    if settings.database == EMBEDDED:
        pid = _postgres(settings).pid
        found["postgres"] = psutil.Process(pid) if pid is not None else None
    if settings.log == EMBEDDED:
        found["broker"] = broker.running(broker_folder(settings.data_path))
    return found


def _postgres(settings: Settings) -> EmbeddedPostgres:
    return EmbeddedPostgres(postgres_folder(settings.data_path))


def serve(settings: Settings) -> None:
    """Start what is missing. Raises ``PostgresFailed`` or ``BrokerError``."""
    for start in missing(settings).values():
        start()
