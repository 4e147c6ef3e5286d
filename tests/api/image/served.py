"""The image service as gunicorn serves it: ``python -m tests.api.image.served URL DIRECTORY PORT``.

One worker of several threads, as in a site; the deciders run in the worker.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication

import api.image.receiving
from chronova.roles import pace
from chronova.roles.api_worker import Worker
from tests.api.image.conftest import Site
from tests.parts.local_bus import store

STALL_TIMEOUT_S = 0.5
GRACE_S = 0.5
"""So that a test need not wait half a minute until a silent or slow client is given up."""


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with the settings of a site's API."""

    def __init__(self, app: Any, port: int) -> None:
        self._app = app
        self._port = port
        super().__init__()

    def load_config(self) -> None:
        self.cfg.set("bind", [f"127.0.0.1:{self._port}"])
        self.cfg.set("worker_class", Worker)
        self.cfg.set("threads", 8)
        self.cfg.set("control_socket_disable", True)

    def load(self) -> Any:
        return self._app()


def main(url: str, directory: str, port: int) -> None:
    """Serve until SIGTERM."""
    with store(url) as engine:

        def app() -> Any:
            engine.dispose(close=False)
            return Site(engine, Path(directory)).app

        Server(app, port).run()


if __name__ == "__main__":
    api.image.receiving.STALL_TIMEOUT_S = STALL_TIMEOUT_S
    pace.GRACE_S = GRACE_S
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
