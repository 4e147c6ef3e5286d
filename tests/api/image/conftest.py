"""The image service on real deciders and a real Postgres, with callers told apart by token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import falcon
import falcon.testing
import msgspec
import pytest
from sqlalchemy import Engine

import api.image
import projections.image  # noqa: F401
from api.authentication import Unauthenticated
from api.caller import Caller
from api.http.authenticated import Authenticated
from api.http.errors import Errors
from api.http.request_ids import RequestIds
from api.services import ApiSettings, Services
from tests.parts.local_bus import LocalBus, store
from tests.parts.postgres import PostgresServer


def caller(project: str | None, *roles: str) -> Caller:
    return Caller(
        user_id=f"user-of-{project}",
        user_name="u",
        user_domain_id="default",
        user_domain_name="Default",
        project_id=project,
        roles=frozenset(roles),
    )


CALLERS = {
    "admin": caller("admins", "admin", "manager", "member", "reader"),
    "anna": caller("a", "member", "reader"),
    "reader": caller("a", "reader"),
    "bert": caller("b", "member", "reader"),
    "unscoped": caller(None),
}


class Gate:
    """Callers by token, where the whole service asks the identity service."""

    def authenticate(self, token: str) -> Caller:
        if token not in CALLERS:
            raise Unauthenticated
        return CALLERS[token]


class Client:
    """Requests as one caller, with JSON in and out."""

    def __init__(self, app: Any, token: str) -> None:
        self._client = falcon.testing.TestClient(app, headers={"X-Auth-Token": token})

    def __call__(self, method: str, path: str, **more: Any) -> falcon.testing.Result:
        return self._client.simulate_request(method, f"/image{path}", **more)

    def create(self, **attributes: Any) -> dict[str, Any]:
        body = {"name": "x", "disk_format": "raw", "container_format": "bare"} | attributes
        answer = self("POST", "/v2/images", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json)

    def upload(
        self, image_id: str, data: bytes, kind: str = "file", **headers: str
    ) -> falcon.testing.Result:
        headers = {"Content-Type": "application/octet-stream"} | headers
        return self("PUT", f"/v2/images/{image_id}/{kind}", body=data, headers=headers)

    def active(self, data: bytes = b"some data", **attributes: Any) -> dict[str, Any]:
        id = self.create(**attributes)["id"]
        answer = self.upload(id, data)
        assert answer.status_code == 204, answer.text
        return self.show(id)

    def show(self, image_id: str) -> dict[str, Any]:
        return dict(self("GET", f"/v2/images/{image_id}").json)

    def ids(self, query: str = "") -> list[str]:
        answer = self("GET", "/v2/images", query_string=query)
        assert answer.status_code == 200, answer.text
        return [image["id"] for image in answer.json["images"]]

    def patch(self, image_id: str, *changes: Any, version: str = "v2.1") -> falcon.testing.Result:
        return self(
            "PATCH",
            f"/v2/images/{image_id}",
            body=msgspec.json.encode(changes),
            headers={"Content-Type": f"application/openstack-images-{version}-json-patch"},
        )


class Site:
    """One image service."""

    def __init__(self, engine: Engine, path: Path, **more: Any) -> None:
        bounds = {"image_bytes_max": 4 << 20, "image_uploads_max": 2} | more
        settings = ApiSettings(data_path=path, **bounds)
        self.engine = engine
        self.bus = LocalBus(engine, clock=self._clock)
        self._time = 1_800_000_000_000_000
        self.images_path = settings.images_path
        self.key_path = settings.image_url_key_path
        gate: Any = Gate()
        parts: Any = [RequestIds(), Authenticated(gate, settings.public_url)]
        self.app: Any = falcon.App(middleware=parts)
        self.app.req_options.strip_url_path_trailing_slash = True
        self.app.req_options.keep_blank_qs_values = True
        Errors({"image": api.image.render_error}).install(self.app)
        for path_, resource in api.image.routes(Services(self.bus, engine, settings)):
            self.app.add_route(f"/image{path_}", resource)

    def _clock(self) -> int:
        """A second later at each decision, so that images differ in age."""
        self._time += 1_000_000
        return self._time

    def __getattr__(self, token: str) -> Client:
        return Client(self.app, token)

    def blobs(self) -> int:
        return len([*self.images_path.glob("blobs/*/*")])

    def temporary(self) -> list[Path]:
        return [*self.images_path.glob("temporary/*")]


@pytest.fixture
def site(database: PostgresServer, tmp_path: Path) -> Iterator[Site]:
    with store(database.url) as engine:
        yield Site(engine, tmp_path)


class _Threaded(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(app: Any, port: int = 0) -> Iterator[int]:
    """``app`` on a port, for clients that speak HTTP."""
    server = make_server("127.0.0.1", port, app, _Threaded, _Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.fixture
def address(site: Site) -> Iterator[str]:
    with serving(site.app) as port:
        yield f"http://127.0.0.1:{port}/image"
