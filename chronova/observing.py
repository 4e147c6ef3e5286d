"""What a role does to be seen: its place among the machine's figures, and a port where asked for.

The API's ``/metrics`` shows all roles of its machine. On a machine without an API each role
serves its own figures at ``metrics_port`` and the ports after it (``PORTS``).
"""

from __future__ import annotations

import threading
from pathlib import Path

import structlog

from chronova.metrics import store
from chronova.metrics.measured_log import MeasuredLog
from chronova.metrics.meters import LogMeters, ProjectorMeters
from chronova.metrics.store import Store
from chronova.settings import Settings, SettingsError
from chronova.stopping import Stop
from events.log.contract import Log, LogError
from events.log.supervised import supervised
from events.log.written_schemas import publish
from projections.connection import GONE, sentence
from projections.failures import ProjectionError
from projections.lag import Lag
from schemas.catalog import catalog

PORTS = {"decider": 0, "projector": 1, "agent": 2}
"""What is added to ``metrics_port``, by role."""

LAG_EVERY_S = 5.0

logger = structlog.get_logger("observing")


def folder(settings: Settings) -> Path:
    """Where the figures of this machine lie."""
    return settings.data_path / store.FOLDER


def begin(settings: Settings, role: str) -> Store:
    """Take a place; serve the role's figures if a port is set. After a fork, once a process."""
    taken = Store(folder(settings), role)
    if settings.metrics_port and role in PORTS:
        port = settings.metrics_port + PORTS[role]
        try:
            store.serve(taken.folder, role, settings.bind, port)
        except OSError as error:
            raise SettingsError(
                f"settings: metrics_port: port {port} of {settings.bind} cannot be used"
                f" for the figures of the {role}: {error.strerror or error}"
            ) from error
    return taken


def measured(log: Log, taken: Store, role: str) -> MeasuredLog:
    """The log, its writes timed. Before the first one it holds this version's schemas."""
    return MeasuredLog(log, LogMeters(taken, role), lambda log: publish(log, catalog()))


def watch_lag(
    log: Log, settings: Settings, meters: ProjectorMeters, stop: Stop
) -> threading.Thread:
    """Measure the projection's lag now and then, until ``stop``."""
    lag = Lag(log, settings.database_url)

    def watch() -> None:
        while not stop.wait(LAG_EVERY_S):
            try:
                standing = lag.measure()
                meters.lag(standing.behind.items(), standing.seconds)
                meters.not_taken(standing.set_aside, len(standing.waiting))
            except (LogError, ProjectionError, *GONE) as error:
                logger.info("lag_unknown", reason=sentence(error))
        lag.close()

    thread = supervised(watch, "lag", stop.is_set)
    thread.start()
    return thread
