"""Requests are counted by route template, and told of when they fail or are slow."""

from __future__ import annotations

from typing import Any

import falcon
import falcon.testing
import structlog.testing

from api.http.observing import Observed
from api.http.request_ids import RequestIds


class Counted:
    """What was counted."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, str, int]] = []

    def request(self, service: str, method: str, route: str, status: int, seconds: float) -> None:
        assert seconds > 0
        self.requests.append((service, method, route, status))


class Server:
    def on_get(self, req: falcon.Request, resp: falcon.Response, server_id: str) -> None:
        resp.status = int(server_id)


def call(
    counted: Counted, method: str, path: str, slow_s: float = 60.0
) -> tuple[falcon.testing.Result, list[Any]]:
    middleware: list[Any] = [RequestIds(), Observed(["compute"], counted, slow_s)]
    app = falcon.App(middleware=middleware)
    app.add_route("/compute/v2.1/servers/{server_id}", Server())
    with structlog.testing.capture_logs() as lines:
        answer = falcon.testing.TestClient(app).simulate_request(method, path, query_string="s=x")
    return answer, list(lines)


def test_counted_by_template() -> None:
    counted = Counted()
    route = "/compute/v2.1/servers/{server_id}"
    for status in (200, 404):
        assert call(counted, "GET", f"/compute/v2.1/servers/{status}")[1] == []
    assert counted.requests == [("compute", "GET", route, 200), ("compute", "GET", route, 404)]


def test_what_clients_make_up_is_no_label() -> None:
    counted = Counted()
    call(counted, "GET", "/invented/by/somebody")
    call(counted, "GET", "/compute/v2.1/none")
    call(counted, "DELETE", "/compute/v2.1/servers/200")
    assert {request[0] for request in counted.requests} == {"other", "compute"}
    assert {request[2] for request in counted.requests} == {
        "other",
        "/compute/v2.1/servers/{server_id}",
    }


def test_failures_and_slow_requests_are_told_of_without_their_query() -> None:
    _, lines = call(Counted(), "GET", "/compute/v2.1/servers/503")
    (line,) = lines
    assert line["event"] == "request"
    assert (line["log_level"], line["status"]) == ("warning", 503)
    assert line["path"] == "/compute/v2.1/servers/503"
    assert "s=x" not in str(line)
    _, lines = call(Counted(), "GET", "/compute/v2.1/servers/500")
    assert lines[0]["log_level"] == "error"
    _, lines = call(Counted(), "GET", "/compute/v2.1/servers/200", slow_s=0.0)
    assert lines[0]["seconds"] >= 0


def test_the_id_is_bound_while_the_request_lasts() -> None:
    seen: list[dict[str, Any]] = []

    class Looks:
        def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
            seen.append(structlog.contextvars.get_contextvars())

    middleware: list[Any] = [RequestIds(), Observed([])]
    app = falcon.App(middleware=middleware)
    app.add_route("/x", Looks())
    answer = falcon.testing.TestClient(app).simulate_get("/x")
    assert seen[0]["request_id"] == answer.headers["x-openstack-request-id"]
    assert "request_id" not in structlog.contextvars.get_contextvars()
