"""Rate limits by address and by project, and the bound on tracebacks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import falcon
import falcon.testing
import pytest
import structlog

from api.http.errors import Errors
from api.http.rates import KEYS_MAX, Limit, Rates, RateSettings
from api.services import ApiSettings, Services
from tests.api.compute.world import World, stocked
from tests.parts.local_bus import store
from tests.parts.postgres import PostgresServer

START = {"os-start": None}


@pytest.fixture(scope="module")
def world(database: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with store(database.url) as engine:
        yield stocked(World.new(engine, tmp_path_factory.mktemp("cloud")))


def limited(world: World, path: Path, **limits: Any) -> World:
    """The same cloud behind another API."""
    settings = ApiSettings(
        public_url="http://cloud.test", data_path=path, rates=RateSettings(**limits)
    )
    other = World(Services(world.bus, world.engine, settings), world.bus)
    return other


def refused(answer: Any) -> None:
    assert answer.status_code == 429
    assert answer.json == {"overLimit": {"code": 429, "message": "This request was rate-limited."}}
    assert 0 < int(answer.headers["retry-after"]) <= 3600


def test_an_address_has_so_many_requests(world: World, tmp_path: Path) -> None:
    api = limited(world, tmp_path, requests_address="3/hour")
    for _ in range(3):
        assert api.get("/servers", token=None).status_code == 401
    refused(api.get("/servers", token=None))
    refused(api.get("/servers"))


def test_one_network_of_ipv6_has_so_many_requests() -> None:
    rates = Rates(RateSettings(requests_address="1/hour"))
    answer = falcon.Response()

    def ask(address: str) -> None:
        rates.process_request(falcon.testing.create_req(remote_addr=address), answer)

    ask("2001:db8::1")
    with pytest.raises(falcon.HTTPTooManyRequests):
        ask("2001:db8::ffff:2")
    ask("2001:db8:0:1::1")


def test_a_project_has_so_many_writes_and_reads_beside(world: World, tmp_path: Path) -> None:
    server_id = world.boot()
    api = limited(world, tmp_path, writes_project="2/hour")
    for name in ("a", "b"):
        assert api.put(f"/servers/{server_id}", {"server": {"name": name}}).status_code == 200
    refused(api.put(f"/servers/{server_id}", {"server": {"name": "c"}}))
    assert api.get("/servers").status_code == 200
    assert api.post("/os-keypairs", {"keypair": {}}, token="stranger").status_code == 400


def test_a_project_has_so_many_refusals(world: World, tmp_path: Path) -> None:
    """Each is recorded for ever: a start of what runs was answered 582 times a second."""
    server_id = world.boot()
    api = limited(world, tmp_path, refusals_project="2/hour")
    for _ in range(2):
        assert api.post(f"/servers/{server_id}/action", START).status_code == 409
    refused(api.post(f"/servers/{server_id}/action", START))
    refused(api.post("/servers", {"server": {}}))
    assert api.get(f"/servers/{server_id}").status_code == 200
    assert api.post("/os-keypairs", {"keypair": {}}, token="stranger").status_code == 400


def test_a_limit_is_shared_by_processes() -> None:
    shared = Limit("5/hour", processes=2)
    assert [shared.count("a") for _ in range(4)] == [True, True, True, False]
    assert shared.count("b")
    assert all(Limit("").count("a") for _ in range(100))


def test_an_allowance_refills_evenly_up_to_its_amount() -> None:
    now = [100.0]
    limit = Limit("6/minute", clock=lambda: now[0])
    assert [limit.count("a") for _ in range(7)] == [True] * 6 + [False]
    assert limit.refusal("a").headers == {"Retry-After": "10"}
    now[0] += 9.9
    assert not limit.count("a")
    now[0] += 0.1
    assert [limit.count("a") for _ in range(2)] == [True, False]
    now[0] += 3600
    assert [limit.count("a") for _ in range(7)] == [True] * 6 + [False]


def test_keys_with_their_whole_allowance_are_forgotten() -> None:
    """Else each address that ever asked would be held for ever."""
    now = [100.0]
    limit = Limit("6/minute", clock=lambda: now[0])
    for turn in range(3 * KEYS_MAX):
        now[0] += 0.01
        assert limit.count(str(turn))
    assert len(limit._full_at) <= KEYS_MAX + 1


def test_a_count_begins_no_thread() -> None:
    """The library's counts did, almost one for each request."""
    limit = Limit("1000/minute")
    before = threading.active_count()
    assert all(limit.count(str(key)) for key in range(100))
    assert threading.active_count() == before


class Broken:
    """A resource with a defect."""

    public_methods = ("GET",)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        raise RuntimeError("a defect " * 10_000)


def test_tracebacks_are_bounded(world: World) -> None:
    app = falcon.App()
    Errors({}).install(app)
    app.add_route("/broken", Broken())
    app.req_options.strip_url_path_trailing_slash = True

    class Named:
        def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
            req.context.request_id = "req"

    app.add_middleware(Named())
    client = falcon.testing.TestClient(app)
    with structlog.testing.capture_logs() as written:
        for _ in range(30):
            assert client.simulate_get("/broken").status_code == 500
    tracebacks = [line["traceback"] for line in written]
    assert sum("Traceback" in text or "defect" in text for text in tracebacks) == 10
    assert sum(map(len, tracebacks)) < 300_000


@pytest.mark.parametrize("path", ["*", "1", "x:1", ""])
def test_a_path_that_is_none_is_no_500(world: World, path: str) -> None:
    """OPTIONS * and CONNECT, as a server hands them over."""
    environ = falcon.testing.create_environ(method="OPTIONS") | {"PATH_INFO": path}
    statuses: list[str] = []

    def begin(status: str, headers: Any, exc_info: Any = None) -> Any:
        statuses.append(status)

    list(world.client.app(environ, begin))
    assert not statuses[0].startswith("5")
