"""The projector role: keeps the read models level with the log."""

from __future__ import annotations

from chronova.connections import open_site_log
from chronova.settings import Settings
from chronova.stopping import Stop
from projections.projector import Projector


def serve(settings: Settings) -> None:
    """Run until SIGTERM; the batch under way is finished."""
    stop = Stop()
    log = open_site_log(settings)
    projector = Projector(log, settings.database)
    stop.on_stop(projector.stop)
    try:
        projector.run()
    finally:
        log.close()
