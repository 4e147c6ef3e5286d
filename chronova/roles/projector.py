"""The projector role: keeps the read models level with the log."""

from __future__ import annotations

from functools import partial

from chronova import observing
from chronova.connections import database_of, open_site_log
from chronova.membership import Membership
from chronova.metrics.meters import ProjectorMeters
from chronova.settings import Settings
from chronova.stopping import Stop
from chronova.watched import Watched
from events.fleet.heartbeat import PROJECTOR
from projections.projector import Projector

LAG_ENDS_S = 3.0


def serve(settings: Settings) -> None:
    """Run until SIGTERM; the batch under way is finished."""
    database = database_of(settings)
    stop = Stop()
    store = observing.begin(settings, "projector")
    meters = ProjectorMeters(store)
    log = observing.measured(open_site_log(settings), store, "projector")
    member = Membership(log, PROJECTOR, settings.report_interval_s)
    member.enter()
    projector = Projector(
        log, database, observe=meters.batch, opener=partial(open_site_log, settings)
    )
    stop.on_stop(projector.stop)
    beats = Watched("heartbeat", lambda: member.keep(stop.pause), projector.stop)
    beats.start()
    keeper = observing.watch_lag(log, settings, meters, stop)
    try:
        projector.run()
    finally:
        stop.event.set()
        keeper.join(LAG_ENDS_S)
        beats.join(LAG_ENDS_S)
        member.leave()
        log.close()
    beats.check()
