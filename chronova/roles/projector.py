"""The projector role: keeps the read models level with the log, and forgets deleted secrets."""

from __future__ import annotations

import time
from functools import partial

from api.services import ApiSettings
from chronova import observing
from chronova.connections import check_proofs, database_of, open_another_log, open_site_log
from chronova.membership import Membership
from chronova.metrics.meters import ProjectorMeters, ProofMeters
from chronova.secrets_keeper import SecretsKeeper
from chronova.settings import Settings
from chronova.stopping import Stop
from chronova.watched import Watched
from events.fleet.heartbeat import PROJECTOR
from events.log.supervised import supervised
from projections.projector import Projector

ENDS_S = 3.0


def serve(settings: Settings) -> None:
    """Run until SIGTERM; the batch under way is finished."""
    database = database_of(settings)
    stop = Stop()
    store = observing.begin(settings, "projector")
    meters = ProjectorMeters(store)
    log = observing.measured(open_site_log(settings), store, "projector")
    check_proofs(settings, ProofMeters(store).refused)
    member = Membership(log, PROJECTOR, settings.report_interval_s)
    member.enter()
    secrets = SecretsKeeper(ApiSettings(data_path=settings.data_path).secrets_path, database)
    projector = Projector(
        log,
        database,
        observe=meters.batch,
        opener=partial(open_another_log, settings),
        listener=secrets,
    )
    stop.on_stop(projector.stop)
    stop.on_stop(secrets.stop)
    forgetting = supervised(secrets.run, "secrets", stop.is_set)
    beats = Watched("heartbeat", lambda: member.keep(stop.wait), projector.stop)
    beats.start()
    keeper = observing.watch_lag(log, settings, meters, stop)
    forgetting.start()
    try:
        projector.run()
    finally:
        stop.set()
        secrets.stop()
        until = time.monotonic() + ENDS_S  # for all of them: the log may be away
        for thread in (forgetting, keeper, beats):
            thread.join(max(0.0, until - time.monotonic()))
        member.leave()
        log.close()
    beats.check()
