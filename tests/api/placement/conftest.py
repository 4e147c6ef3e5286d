from __future__ import annotations

from collections.abc import Iterator

import falcon.testing
import pytest

from api.app import create_app
from api.caller import Caller
from api.services import Services
from commands.fleet.aggregate import AddAggregateHost, CreateAggregate
from tests.api.compute.world import PROJECT, KnownTokens, World, stocked
from tests.parts.local_bus import store
from tests.parts.postgres import PostgresServer

RACK = "11111111-1111-4111-8111-111111111111"

SERVICE = Caller(
    user_id="nova",
    user_name="nova",
    user_domain_id="default",
    user_domain_name="Default",
    project_id=PROJECT,
    roles=frozenset({"service"}),
    expires_at=2**60,
)


class Tokens(KnownTokens):
    """Also another service's token."""

    def authenticate(self, token: str) -> Caller:
        return SERVICE if token == "service" else super().authenticate(token)


class Placement:
    """Placement's API over a fleet of two hosts, with one server on the first."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.server_id = world.boot()
        world.host("c2", vcpus=2)
        world.bus.send(CreateAggregate(aggregate_id=RACK, name="rack"), "default")
        world.bus.send(AddAggregateHost(aggregate_id=RACK, host="c2"), "default")
        services = Services(world.bus, world.engine, world.settings)
        self._client = falcon.testing.TestClient(create_app(services, ("placement",), Tokens()))

    def request(
        self,
        method: str,
        path: str,
        *,
        version: str | None = "1.39",
        token: str | None = "admin",
    ) -> falcon.testing.Result:
        headers = {} if token is None else {"X-Auth-Token": token}
        if version is not None:
            headers["OpenStack-API-Version"] = f"placement {version}"
        path, _, query = path.partition("?")
        return self._client.simulate_request(
            method, f"/placement{path}", headers=headers, query_string=query
        )

    def get(self, path: str, version: str | None = "1.39", token: str | None = "admin") -> object:
        answer = self.request("GET", path, version=version, token=token)
        assert answer.status_code == 200, answer.text
        body: object = answer.json
        return body


@pytest.fixture(scope="module")
def placement(
    database: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Placement]:
    """A fleet, shared by a file's tests, which only read."""
    with store(database.url) as engine:
        yield Placement(stocked(World.new(engine, tmp_path_factory.mktemp("cloud"))))
