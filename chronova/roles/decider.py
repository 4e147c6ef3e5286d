"""The decider role: decides the commands of its domains; watches hosts' heartbeats."""

from __future__ import annotations

import commands.compute
import commands.fleet
import commands.identity
import commands.image
import handlers.reactions  # noqa: F401 - imported for what it registers
from chronova.connections import open_site_log
from chronova.settings import Settings
from chronova.stopping import Stop
from handlers.decider import Decider, run

_REGISTERED = (commands.compute, commands.fleet, commands.identity, commands.image)


def serve(settings: Settings) -> None:
    """Run until SIGTERM; partitions are handed over at once."""
    stop = Stop()
    log = open_site_log(settings)
    decider = Decider(log, settings.domains, snapshots=settings.data_path / "snapshots")
    stop.on_stop(decider.wake)
    try:
        run(decider, stop.stopped, stop.pause)
    finally:
        decider.close()
        log.close()
