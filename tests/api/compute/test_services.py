"""Services: the list at each microversion, and taking a host out of scheduling and back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.compute.world import World, refused

ALWAYS = {
    *("binary", "host", "id", "zone", "status", "state", "updated_at", "disabled_reason"),
}
ID = str(uuid.uuid5(uuid.NAMESPACE_DNS, "service c1"))


@pytest.fixture(autouse=True)
def enabled(world: World) -> Iterator[None]:
    yield
    world.put("/os-services/enable", {"host": "c1", "binary": "nova-compute"}, token="admin")
    body = {"host": "c1", "binary": "nova-compute", "forced_down": False}
    world.put("/os-services/force-down", body, version="2.11", token="admin")


def listed(world: World, version: str = "2.1", query: str = "") -> list[dict[str, Any]]:
    answer = world.get(f"/os-services{query}", version=version, token="admin")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json["services"]
    return found


@pytest.mark.parametrize(
    ("version", "more", "id"),
    [("2.1", set(), 1), ("2.11", {"forced_down"}, 1), ("2.53", {"forced_down"}, ID)],
)
def test_the_list(world: World, version: str, more: set[str], id: object) -> None:
    (service,) = listed(world, version)
    assert set(service) == ALWAYS | more
    assert service["id"] == id
    assert (service["binary"], service["host"], service["zone"]) == ("nova-compute", "c1", "nova")
    assert (service["status"], service["state"]) == ("enabled", "up")
    assert service["disabled_reason"] is None


def test_filters(world: World) -> None:
    assert [s["host"] for s in listed(world, query="?host=c1&binary=nova-compute")] == ["c1"]
    assert listed(world, query="?host=c2") == []
    assert listed(world, query="?binary=nova-scheduler") == []
    assert len(listed(world, query="?colour=red")) == 1
    answer = world.get("/os-services?colour=red", version="2.75", token="admin")
    refused(answer, 400, "badRequest", "colour")


def test_actions_before_2_53(world: World) -> None:
    target = {"host": "c1", "binary": "nova-compute"}
    body = target | {"disabled_reason": "disk"}
    answer = world.put("/os-services/disable-log-reason", body, token="admin")
    assert answer.json == {"service": body | {"status": "disabled"}}
    (service,) = listed(world)
    assert (service["status"], service["disabled_reason"]) == ("disabled", "disk")
    answer = world.put("/os-services/enable", target, token="admin")
    assert answer.json == {"service": target | {"status": "enabled"}}
    assert world.put("/os-services/disable", target, token="admin").status_code == 200
    assert listed(world)[0]["disabled_reason"] is None
    forced = target | {"forced_down": True}
    answer = world.put("/os-services/force-down", forced, version="2.11", token="admin")
    assert answer.json == {"service": forced}
    assert listed(world, "2.11")[0]["state"] == "down"


def test_actions_that_cannot_be(world: World) -> None:
    target = {"host": "c1", "binary": "nova-compute"}

    def put(action: str, body: dict[str, Any], version: str = "2.52") -> Any:
        return world.put(f"/os-services/{action}", body, version=version, token="admin")

    refused(put("restart", target), 404, "itemNotFound", "Unknown action")
    refused(put("force-down", target, "2.10"), 404, "itemNotFound")
    refused(put("force-down", target), 400, "badRequest", "forced_down")
    refused(put("disable-log-reason", target), 400, "badRequest", "reason")
    refused(put("enable", {"host": "c1"}), 400, "badRequest", "binary")
    refused(put("enable", target | {"host": "c9"}), 404, "itemNotFound", "on host c9")
    refused(put("enable", target, "2.53"), 400, "badRequest")


def test_by_uuid(world: World) -> None:
    path = f"/os-services/{ID}"
    body = {"status": "disabled", "disabled_reason": "fan", "forced_down": True}
    answer = world.put(path, body, version="2.53", token="admin")
    assert answer.status_code == 200, answer.text
    service = answer.json["service"]
    assert set(service) == ALWAYS | {"forced_down"}
    assert {name: service[name] for name in body} == body
    assert service["state"] == "down"
    answer = world.put(path, {"status": "enabled"}, version="2.53", token="admin")
    assert answer.json["service"]["disabled_reason"] is None
    before = len(world.bus.events)
    again = world.put(path, {"status": "enabled"}, version="2.53", token="admin")
    assert (again.status_code, len(world.bus.events)) == (200, before)


@pytest.mark.parametrize(
    ("id", "body", "status"),
    [
        (ID, {}, 400),
        (ID, {"disabled_reason": "x"}, 400),
        (ID, {"status": "enabled", "disabled_reason": "x"}, 400),
        (ID, {"status": "broken"}, 400),
        (ID, {"status": "enabled", "host": "c1"}, 400),
        (ID, {"forced_down": 1}, 400),
        ("1", {"status": "enabled"}, 400),
        (str(uuid.uuid4()), {"status": "enabled"}, 404),
    ],
)
def test_updates_that_cannot_be(world: World, id: str, body: Any, status: int) -> None:
    before = len(world.bus.events)
    answer = world.put(f"/os-services/{id}", body, version="2.53", token="admin")
    refused(answer, status, "badRequest" if status == 400 else "itemNotFound")
    assert len(world.bus.events) == before


def test_delete(world: World) -> None:
    world.host("c2")
    number = listed(world, query="?host=c2")[0]["id"]
    refused(world.delete("/os-services/x", token="admin"), 400, "badRequest")
    refused(world.delete("/os-services/999", token="admin"), 404, "itemNotFound")
    assert world.delete(f"/os-services/{number}", token="admin").status_code == 204
    assert listed(world, query="?host=c2") == []


def test_a_host_with_servers_stays(world: World) -> None:
    world.boot()
    answer = world.delete(f"/os-services/{ID}", version="2.53", token="admin")
    refused(answer, 409, "conflictingRequest", "hosting instances")


@pytest.mark.parametrize("token", ["member", "reader", "system"])
def test_only_for_admins(world: World, token: str) -> None:
    refused(world.get("/os-services", token=token), 403, "forbidden", "os-services:list")
    body = {"host": "c1", "binary": "nova-compute"}
    answer = world.put("/os-services/disable", body, token=token)
    refused(answer, 403, "forbidden", "os-services:update")
    refused(world.delete("/os-services/1", token=token), 403, "forbidden", "os-services:delete")
