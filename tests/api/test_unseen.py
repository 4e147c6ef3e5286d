"""What does not show yet is not said to be missing, for as long as that can be so."""

from __future__ import annotations

import falcon
import pytest
from falcon.testing import TestClient

from api.caller import Caller
from api.http.errors import Errors
from api.unseen import NOTED_MAX, NOTED_S, Unseen

SOURCE = ("image.events", 0)


class Lookup:
    """A resource that is not found, unless it is asked for otherwise."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        raise falcon.HTTPNotFound(description="No image found")

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        raise falcon.HTTPConflict()


class Asker:
    """Says whose request it is."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context.caller = Caller(
            user_id="u",
            user_name="u",
            user_domain_id="d",
            user_domain_name="d",
            project_id=req.get_header("X-Project"),
        )


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.shown = 0

    def unseen(self) -> Unseen:
        return Unseen(lambda source, position: position <= self.shown, lambda: self.now)


def client(unseen: Unseen) -> TestClient:
    app = falcon.App(middleware=[Asker()])
    Errors({}, unseen).install(app)
    app.add_route("/image", Lookup())
    return TestClient(app)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_not_found_may_be_what_does_not_show_yet(method: str) -> None:
    """An image was accepted; the projection could not follow, and the next request said 404."""
    clock = Clock()
    unseen = clock.unseen()
    asked = client(unseen)
    usual = {"GET": 404, "POST": 409}[method]
    assert asked.simulate_request(method, "/image", headers={"X-Project": "p"}).status_code == usual
    unseen.note("p", SOURCE, 7)
    answer = asked.simulate_request(method, "/image", headers={"X-Project": "p"})
    if method == "GET":
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    else:
        assert answer.status_code == usual
    other = asked.simulate_request(method, "/image", headers={"X-Project": "another"})
    assert other.status_code == usual
    nowhere = asked.simulate_request(method, "/nothing", headers={"X-Project": "p"})
    assert nowhere.status_code == 404, "there is no such route, whatever shows"
    clock.shown = 7
    assert asked.simulate_request(method, "/image", headers={"X-Project": "p"}).status_code == usual


def test_it_is_forgotten_after_a_while() -> None:
    """A projection may wait for its operator for days."""
    clock = Clock()
    unseen = clock.unseen()
    unseen.note("p", SOURCE, 7)
    clock.now = NOTED_S
    assert "p" in unseen
    clock.now += 1
    assert "p" not in unseen


def test_the_oldest_is_forgotten_first() -> None:
    unseen = Clock().unseen()
    for number in range(NOTED_MAX + 1):
        unseen.note(f"p{number}", SOURCE, 7)
    assert "p0" not in unseen
    assert "p1" in unseen and f"p{NOTED_MAX}" in unseen
