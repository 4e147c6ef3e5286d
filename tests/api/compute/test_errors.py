"""What goes wrong before a resource is asked: tokens, routes, bodies, the log, the database."""

from __future__ import annotations

import json
from typing import Any

import falcon
import falcon.testing
import pytest
import sqlalchemy

from api.app import create_app
from api.bus import Actor, Unavailable
from api.services import Services
from events.message import Command
from tests.api.compute.world import KnownTokens, World, refused


@pytest.mark.parametrize("token", [None, "", "expired"])
def test_no_valid_token_is_401(world: World, token: str | None) -> None:
    answer = world.get("/servers", token=token)
    assert answer.status_code == 401
    assert answer.json == {
        "error": {
            "code": 401,
            "title": "Unauthorized",
            "message": "The request you have made requires authentication.",
        }
    }
    assert answer.headers["www-authenticate"] == 'Keystone uri="http://cloud.test/identity"'


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("GET", "/servers/x/y/z"),
        ("PATCH", "/servers"),
        ("DELETE", "/servers"),
        ("PUT", "/servers/detail/action"),
        ("GET", "/servers/1%00"),
    ],
)
def test_unknown_routes_and_methods_are_404(world: World, method: str, path: str) -> None:
    refused(world.request(method, path), 404, "itemNotFound")


@pytest.mark.parametrize("body", ["", "{", "[1]", '"x"', "null", '{"server": NaN}', "{'a': 1}"])
def test_a_malformed_body_is_400(world: World, body: str) -> None:
    refused(world.post("/servers", body), 400, "badRequest", "Malformed request body")


def test_another_media_type_is_415(world: World) -> None:
    answer = world.post("/servers", "{}", headers={"Content-Type": "application/xml"})
    refused(answer, 415, "badMediaType")


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/vnd.openstack.compute+json"]
)
def test_json_media_types_are_read(world: World, kind: str) -> None:
    answer = world.post("/servers", "{}", headers={"Content-Type": kind})
    refused(answer, 400, "badRequest", "'server' is a required property")


def test_a_body_over_the_limit_is_413(world: World) -> None:
    body = json.dumps({"server": {"name": "x" * world.settings.body_bytes_max}})
    refused(world.post("/servers", body), 413, "overLimit")


def test_a_body_over_the_limit_of_unknown_length_is_413(world: World) -> None:
    class Endless:
        def read(self, size: int = -1) -> bytes:
            return b"x" * size

    environ = falcon.testing.create_environ(
        path="/compute/v2.1/servers", method="POST", headers={"X-Auth-Token": "member"}
    )
    environ.pop("CONTENT_LENGTH", None)
    environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": Endless()}
    seen: list[str] = []

    def begin(status: str, headers: Any, exc_info: Any = None) -> Any:
        seen.append(status)

    world.client.app(environ, begin)
    assert seen == ["413 Content Too Large"]


class AwayBus:
    """A log that does not answer."""

    def send(self, command: Command, key: str, actor: Actor) -> None:
        raise Unavailable("The log did not answer in time.", retry_after_s=3)


def client(world: World, **changed: Any) -> falcon.testing.TestClient:
    means: dict[str, Any] = {"bus": world.bus, "engine": world.engine} | changed
    services = Services(means["bus"], means["engine"], world.settings)
    return falcon.testing.TestClient(create_app(services, ("compute",), KnownTokens()))


def test_an_unavailable_log_is_503_with_retry_after(world: World) -> None:
    server_id = world.boot()
    answer = client(world, bus=AwayBus()).simulate_delete(
        f"/compute/v2.1/servers/{server_id}", headers={"X-Auth-Token": "member"}
    )
    refused(answer, 503, "serviceUnavailable", "did not answer")
    assert answer.headers["retry-after"] == "3"


def test_an_unreachable_database_is_503_with_retry_after(world: World) -> None:
    nowhere = sqlalchemy.create_engine("postgresql+psycopg2://x@127.0.0.1:1/x")
    answer = client(world, engine=nowhere).simulate_get(
        "/compute/v2.1/servers", headers={"X-Auth-Token": "member"}
    )
    refused(answer, 503, "serviceUnavailable")
    assert answer.headers["retry-after"] == "1"


def test_a_defect_is_500_that_tells_nothing(world: World) -> None:
    class Broken(AwayBus):
        def send(self, command: Command, key: str, actor: Actor) -> None:
            raise KeyError("secret detail")

    server_id = world.boot()
    answer = client(world, bus=Broken()).simulate_delete(
        f"/compute/v2.1/servers/{server_id}", headers={"X-Auth-Token": "member"}
    )
    refused(answer, 500, "computeFault", "Unexpected API Error")
    assert "secret detail" not in answer.text
    assert answer.headers["x-openstack-request-id"] in answer.text
