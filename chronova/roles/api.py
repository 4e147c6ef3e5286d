"""The API role: all REST services on one port, under gunicorn with threads.

Log, database pool and waiter are made after the fork, in each worker: none of them survives
one. A worker that is told to end finishes its requests first.
"""

from __future__ import annotations

from typing import Any

import structlog
from gunicorn.app.base import BaseApplication

from api.app import create_app
from api.log_bus import LogBus
from api.services import ApiSettings, Services
from chronova.connections import open_site_log
from chronova.consoles import HostConsoles
from chronova.settings import Settings
from projections.live import engine
from projections.waiting import PositionWaiter

GRACE_S = 20
"""Longer than a decision may take."""

HEADER_BYTES_MAX = 16384

logger = structlog.get_logger("api")


def services_of(settings: Settings) -> Services:
    """What the API's resources work with, in this process."""
    waiter = PositionWaiter(settings.database)
    bus = LogBus(
        open_site_log(settings),
        waiter,
        decision_timeout_s=settings.decision_timeout_s,
        in_flight_max=settings.api_in_flight_max,
    )
    api = ApiSettings(
        public_url=settings.url,
        region=settings.region,
        data_path=settings.data_path,
        token_ttl_s=settings.token_ttl_s,
    )
    pool = engine(settings.database, settings.api_threads)
    return Services(bus, pool, api, HostConsoles(api.instances_path))


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, told what to do by our settings alone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        s = self._settings
        for name, value in {
            "bind": f"{s.bind}:{s.port}",
            "workers": s.api_workers,
            "worker_class": "gthread",
            "threads": s.api_threads,
            "worker_connections": 1000,
            "backlog": 1024,
            "keepalive": 75,
            "timeout": 60,
            "graceful_timeout": GRACE_S,
            "limit_request_line": 8190,
            "limit_request_field_size": HEADER_BYTES_MAX,
            "proc_name": "chronova-api",
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
            "control_socket_disable": True,
        }.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        services = services_of(self._settings)
        logger.info("serving", url=self._settings.url)

        return create_app(services)


def serve(settings: Settings) -> None:
    """Run until SIGTERM."""
    _Server(settings).run()
