"""Parts are asked at once, within a limit, one thread each, and not more often than needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import falcon
import falcon.testing

from api.health.checks import Checks, Ill
from api.health.resource import Health
from api.http.authenticated import Authenticated


def well() -> Mapping[str, Any]:
    return {"up": 3}


def ill() -> Mapping[str, Any]:
    raise Ill("it limps", {"lag_s": 12.5})


def broken() -> Mapping[str, Any]:
    raise ConnectionRefusedError("nobody\nlistens")


class Nobody:
    """Knows no token."""

    def authenticate(self, token: str) -> Any:
        raise AssertionError("health asks for no token")


def client(checks: Checks) -> falcon.testing.TestClient:
    app = falcon.App(middleware=[Authenticated(Nobody(), "http://test")])
    app.add_route("/healthz", Health(checks, "1.2.3"))
    return falcon.testing.TestClient(app)


def test_all_well() -> None:
    answer = client(Checks({"log": well})).simulate_get("/healthz")
    assert answer.status_code == 200
    assert answer.json["status"] == "ok"
    assert answer.json["version"] == "1.2.3"
    assert answer.json["ill"] == []
    assert answer.json["parts"]["log"]["figures"] == {"up": 3}
    assert answer.headers["cache-control"] == "no-store"


def test_it_says_which_part_is_ill_and_why() -> None:
    parts = {"log": well, "projection": ill, "database": broken}
    answer = client(Checks(parts)).simulate_get("/healthz")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json["ill"] == ["projection", "database"]
    assert answer.json["parts"]["projection"]["reason"] == "it limps"
    assert answer.json["parts"]["projection"]["figures"] == {"lag_s": 12.5}
    assert answer.json["parts"]["database"]["reason"] == "nobody listens"
    assert client(Checks(parts)).simulate_head("/healthz").status_code == 503


def test_a_part_that_hangs_is_ill_in_time_and_asked_once() -> None:
    go_on, asked = threading.Event(), []

    def hangs() -> Mapping[str, Any]:
        asked.append(1)
        assert go_on.wait(60)
        return {}

    checks = Checks({"log": hangs, "database": well}, limit_s=0.2, kept_s=0.0)
    began = time.monotonic()
    for _ in range(3):
        conditions = checks.conditions()
        assert not conditions["log"].ok
        assert conditions["log"].reason.startswith("no answer for ")
        assert conditions["database"].ok
    assert time.monotonic() - began < 5
    assert len(asked) == 1
    go_on.set()
    deadline = time.monotonic() + 10
    while not checks.conditions()["log"].ok:
        assert time.monotonic() < deadline
    assert len(asked) <= 2


def test_a_slow_part_keeps_nobody_waiting_who_had_its_answer_before() -> None:
    go_on, asked = threading.Event(), []

    def slow() -> Mapping[str, Any]:
        asked.append(1)
        assert len(asked) == 1 or go_on.wait(60)
        return {"asked": len(asked)}

    checks = Checks({"log": slow}, limit_s=30.0, kept_s=0.0, wait_s=0.1)
    checks.begin()
    began = time.monotonic()
    for _ in range(3):
        assert checks.conditions()["log"].figures == {"asked": 1}
    assert time.monotonic() - began < 15.0  # else the limit was waited for
    go_on.set()
    deadline = time.monotonic() + 10
    while checks.conditions()["log"].figures == {"asked": 1}:
        assert time.monotonic() < deadline


def test_a_part_that_hangs_is_ill_though_it_was_well() -> None:
    go_on, asked = threading.Event(), []

    def hangs_later() -> Mapping[str, Any]:
        asked.append(1)
        assert len(asked) == 1 or go_on.wait(60)
        return {}

    checks = Checks({"log": hangs_later}, limit_s=0.3, kept_s=0.0, wait_s=0.01)
    assert checks.conditions()["log"].ok
    deadline = time.monotonic() + 10
    while checks.conditions()["log"].ok:
        assert time.monotonic() < deadline
    assert checks.conditions()["log"].reason.startswith("no answer for ")
    go_on.set()


def test_answers_are_kept_for_a_while() -> None:
    asked = []

    def counted() -> Mapping[str, Any]:
        asked.append(1)
        return {}

    checks = Checks({"log": counted}, kept_s=60)
    askers = [threading.Thread(target=checks.conditions) for _ in range(20)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(10)
    assert len(asked) == 1


def limping() -> Mapping[str, Any]:
    return {"set_aside": 2, "degraded": "2 aggregates are set aside"}


def test_what_works_but_not_for_all_is_shown_and_served() -> None:
    answer = client(Checks({"log": well, "projection": limping})).simulate_get("/healthz")
    assert answer.status_code == 200
    assert (answer.json["status"], answer.json["ill"]) == ("degraded", [])
    assert answer.json["degraded"] == ["projection"]
    part = answer.json["parts"]["projection"]
    assert part["degraded"] == "2 aggregates are set aside"
    assert part["figures"] == {"set_aside": 2}
    both = client(Checks({"log": ill, "projection": limping})).simulate_get("/healthz")
    assert (both.status_code, both.json["status"]) == (503, "ill")
