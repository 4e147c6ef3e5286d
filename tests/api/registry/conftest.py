"""The registry in the real application, in process and served on a port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, cast
from wsgiref.simple_server import WSGIRequestHandler, make_server

import falcon.testing
import pytest

from api.app import App, create_app
from api.authentication import Unauthenticated
from api.caller import Caller
from api.services import Services


class Nobody:
    """Knows no token: whatever answers does so without one."""

    def authenticate(self, token: str) -> Caller:
        raise Unauthenticated


class Quiet(WSGIRequestHandler):
    """Writes no line for each request."""

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="session")
def app() -> App:
    """The application with the registry alone. It asks neither the bus nor the database."""
    services = Services(cast(Any, None), cast(Any, None))
    return create_app(services, ["registry"], Nobody())


@pytest.fixture
def client(app: App) -> falcon.testing.TestClient:
    return falcon.testing.TestClient(app)


@pytest.fixture(scope="session")
def registry_url(app: App) -> Iterator[str]:
    """Where the registry is served."""
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/registry"
        finally:
            server.shutdown()
            thread.join(10)
