"""The API role: all REST services on one port, under gunicorn with threads.

Log, database pool and waiter are made after the fork, in each worker: none of them survives
one. A worker that is told to end finishes its requests first.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Collection
from contextlib import closing
from functools import partial
from typing import Any

import structlog
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from api.app import SERVICES, App, create_app
from api.authentication import changes
from api.health.checks import Checks
from api.health.parts import parts
from api.health.pulse import Pulse
from api.health.resource import Health
from api.http.figures import Figures
from api.http.observing import Observed
from api.http.rates import RateSettings
from api.log_bus import LogBus, Observer
from api.services import ApiSettings, Services
from api.tokens.claims import unseal
from api.tokens.keys import TokenKeys
from api.waiting_partitions import WaitingPartitions
from chronova import __version__, listening, observing
from chronova.connections import check_proofs, database_of, open_site_log
from chronova.consoles import HostConsoles
from chronova.membership import Membership
from chronova.memory import return_large_blocks
from chronova.metrics.meters import ApiMeters
from chronova.metrics.store import Exposition, Store
from chronova.open_files import allow_open_files
from chronova.processes import title
from chronova.roles.api_worker import Worker
from chronova.roles.callers import Callers
from chronova.roles.lanes import UPLOAD, sizes_of
from chronova.settings import Settings
from chronova.watched import Watched
from events import topics
from events.fleet.heartbeat import API
from events.log.contract import Log
from events.log.written_schemas import publish
from projections.live import engine
from projections.waiting import PositionWaiter
from schemas.catalog import catalog

GRACE_S = 20
"""Longer than a decision may take."""

HEADER_BYTES_MAX = 16384
CONNECTIONS_MAX = 1000
"""Of clients, in each process; ``api_worker`` says which are closed beyond it."""
OPEN_FILES_MIN = 2 * CONNECTIONS_MAX
"""What a process may open at least, where the system allows it."""
IDENTITY = topics.events("identity")

logger = structlog.get_logger("api")


def app_of(settings: Settings, store: Store, log: Log) -> App:
    """The application of this process, counted and with its health."""
    meters = ApiMeters(store)
    pulse = Pulse(meters)
    services = services_of(settings, log, pulse)
    assert isinstance(services.bus, LogBus)
    checks = Checks(parts(log, settings.database_url, services.engine, services.bus, pulse))
    checks.begin()
    return create_app(
        services,
        observed=Observed(SERVICES, meters, settings.slow_request_s),
        roots={
            "/healthz": Health(checks, __version__),
            "/metrics": Figures(Exposition(store.folder)),
        },
        unseen=services.bus.unseen,
    )


def services_of(settings: Settings, log: Log, observer: Observer) -> Services:
    """What the API's resources work with, in this process."""
    waiter = PositionWaiter(settings.database_url, _forget_callers)
    waiter.listen()
    pool = engine(settings.database_url, settings.api_threads)
    bus = LogBus(
        log,
        waiter,
        waits=WaitingPartitions(pool),
        decision_timeout_s=settings.decision_timeout_s,
        in_flight_max=settings.api_in_flight_max,
        observer=observer,
    )
    api = api_settings(settings)
    return Services(bus, pool, api, HostConsoles(api.instances_path))


def api_settings(settings: Settings) -> ApiSettings:
    """The part of a site's settings that the API's resources read."""
    return ApiSettings(
        public_url=settings.url,
        region=settings.region,
        data_path=settings.data_path,
        token_ttl_s=settings.token_ttl_s,
        image_bytes_max=settings.image_gib_max << 30,
        image_project_bytes_max=settings.image_project_gib_max << 30,
        image_room_kept_bytes=settings.image_room_kept_mib << 20,
        image_uploads_max=sizes_of(settings.api_threads)[UPLOAD],
        service_down_time_s=settings.service_down_time_s,
        rates=RateSettings(
            requests_address=settings.rate_requests_address,
            writes_project=settings.rate_writes_project,
            refusals_project=settings.rate_refusals_project,
            secrets_host=settings.rate_secrets_host,
            processes=settings.api_workers,
        ),
    )


def _forget_callers(shown: Collection[str]) -> None:
    """Who is who may have changed, whichever process was asked to change it."""
    if IDENTITY in shown:
        changes.advance()


class JournalLogger(Logger):  # type: ignore[misc]
    """gunicorn's log in the form of all others."""

    def setup(self, cfg: Any) -> None:
        """See gunicorn; its own handlers go."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, told what to do by our settings alone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ending = threading.Event()
        self._member: Membership | None = None
        super().__init__()

    def load_config(self) -> None:
        s = self._settings
        keys = TokenKeys(api_settings(s).token_keys_path)
        of_site = {
            "waiting_max": s.api_in_flight_max,
            "callers": Callers(partial(unseal, keys)),
        }
        for name, value in {
            "bind": listening.address(s),
            "workers": s.api_workers,
            "worker_class": type("Worker", (Worker,), of_site),
            "threads": s.api_threads,
            "worker_connections": CONNECTIONS_MAX,
            "backlog": listening.BACKLOG,
            "keepalive": 75,
            "timeout": 60,
            "graceful_timeout": GRACE_S,
            "limit_request_line": 8190,
            "limit_request_field_size": HEADER_BYTES_MAX,
            "proc_name": title(s.data_path, "api"),
            "logger_class": JournalLogger,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
            "control_socket_disable": True,
            "worker_exit": lambda arbiter, worker: self._leave(),
        }.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        store = observing.begin(self._settings, "api")
        log = observing.measured(open_site_log(self._settings), store, "api")
        member = self._member = Membership(log, API, self._settings.report_interval_s)
        member.enter()
        app = app_of(self._settings, store, log)
        keep = Watched("heartbeat", lambda: member.keep(self._ending.wait), _end_master)
        keep.start()
        logger.info("serving", url=self._settings.url)
        return app

    def _leave(self) -> None:
        """A worker ends."""
        self._ending.set()
        if self._member is not None:
            self._member.leave()


def _end_master() -> None:
    """This version is too old, or a defect has ended the heartbeats: none of the workers may go on.
    The next start says why."""
    os.kill(os.getppid(), signal.SIGTERM)


def _refuse_old(settings: Settings) -> None:
    """Refuse in the master, which can say so in one sentence. Raises ``TooOld``, ``LogError``."""
    with closing(open_site_log(settings)) as log:
        check_proofs(settings)  # the workers are forked from here
        publish(log, catalog())
        member = Membership(log, API, settings.report_interval_s)
        member.enter()
        member.leave()


def serve(settings: Settings) -> None:
    """Run until SIGTERM."""
    database_of(settings)
    _refuse_old(settings)
    return_large_blocks()
    allow_open_files(OPEN_FILES_MIN)
    _Server(settings).run()
