"""Host aggregates and the availability zones that they make."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from commands.fleet.service import DisableService, EnableService
from tests.api.compute.world import World, refused

NAMES = (f"agg{i}" for i in itertools.count())


@pytest.fixture(scope="module", autouse=True)
def second_host(world: World) -> None:
    world.host("c2")


@pytest.fixture
def aggregate(world: World) -> Iterator[str]:
    """An aggregate's path; it is emptied and deleted at the end."""
    path = f"/os-aggregates/{create(world)['id']}"
    yield path
    body = world.get(path, token="admin")
    if body.status_code == 200:
        for host in body.json["aggregate"]["hosts"]:
            act(world, path, remove_host={"host": host})
        assert world.delete(path, token="admin").status_code == 200


def create(world: World, version: str = "2.1", **body: Any) -> Any:
    values = {"name": next(NAMES)} | body
    answer = world.post("/os-aggregates", {"aggregate": values}, version=version, token="admin")
    assert answer.status_code == 200, answer.text
    return answer.json["aggregate"]


def act(world: World, path: str, **action: Any) -> Any:
    return world.post(f"{path}/action", action, token="admin")


def zones(world: World, path: str = "") -> dict[str, Any]:
    token = "admin" if path else "reader"
    answer = world.get(f"/os-availability-zone{path}", token=token)
    assert answer.status_code == 200, answer.text
    return {zone["zoneName"]: zone for zone in answer.json["availabilityZoneInfo"]}


CREATED = {
    *("id", "name", "availability_zone", "created_at", "updated_at", "deleted", "deleted_at"),
}


def test_life(world: World) -> None:
    made = create(world, "2.41", name="racks", availability_zone="z9")
    assert set(made) == CREATED | {"uuid"}
    assert (made["name"], made["availability_zone"], made["updated_at"]) == ("racks", "z9", None)
    path = f"/os-aggregates/{made['id']}"
    shown = world.get(path, token="admin").json["aggregate"]
    assert set(shown) == CREATED | {"hosts", "metadata"}
    assert (shown["hosts"], shown["metadata"]) == ([], {"availability_zone": "z9"})
    listed = world.get("/os-aggregates", token="admin").json["aggregates"]
    assert shown in listed
    change = {"aggregate": {"name": "rows", "availability_zone": "z8"}}
    updated = world.put(path, change, token="admin").json["aggregate"]
    assert (updated["name"], updated["availability_zone"]) == ("rows", "z8")
    assert updated["updated_at"] is not None
    answer = world.delete(path, token="admin")
    assert (answer.status_code, answer.text) == (200, "")
    refused(world.get(path, token="admin"), 404, "itemNotFound")
    refused(world.delete(path, token="admin"), 404, "itemNotFound")


def test_names_are_unique(world: World, aggregate: str) -> None:
    taken = world.get(aggregate, token="admin").json["aggregate"]["name"]
    answer = world.post("/os-aggregates", {"aggregate": {"name": taken}}, token="admin")
    refused(answer, 409, "conflictingRequest", "already exists")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": " x"},
        {"name": "x", "availability_zone": "a:b"},
        {"name": "x", "availability_zone": ""},
        {"name": "x", "hosts": []},
    ],
)
def test_what_cannot_be_made(world: World, body: Any) -> None:
    answer = world.post("/os-aggregates", {"aggregate": body}, token="admin")
    refused(answer, 400, "badRequest")


def test_hosts_and_metadata(world: World, aggregate: str) -> None:
    answer = act(world, aggregate, add_host={"host": "c2"})
    assert answer.json["aggregate"]["hosts"] == ["c2"]
    answer = act(world, aggregate, add_host={"host": "c2"})
    refused(answer, 409, "conflictingRequest", "already has host c2")
    refused(act(world, aggregate, add_host={"host": "c9"}), 404, "itemNotFound", "c9")
    refused(world.delete(aggregate, token="admin"), 400, "badRequest", "not empty")
    answer = act(world, aggregate, set_metadata={"metadata": {"ssd": "true", "gpu": "no"}})
    assert answer.json["aggregate"]["metadata"] == {"ssd": "true", "gpu": "no"}
    answer = act(world, aggregate, set_metadata={"metadata": {"gpu": None}})
    assert answer.json["aggregate"]["metadata"] == {"ssd": "true"}
    answer = act(world, aggregate, remove_host={"host": "c2"})
    assert answer.json["aggregate"]["hosts"] == []
    refused(act(world, aggregate, remove_host={"host": "c2"}), 404, "itemNotFound")


@pytest.mark.parametrize(
    "action",
    [
        {},
        {"add_host": {}},
        {"add_host": {"host": "a b"}},
        {"set_metadata": {"metadata": {"a": 1}}},
        {"explode": {}},
        {"add_host": {"host": "c1"}, "remove_host": {"host": "c1"}},
    ],
)
def test_actions_that_cannot_be(world: World, aggregate: str, action: Any) -> None:
    answer = world.post(f"{aggregate}/action", action, token="admin")
    refused(answer, 400, "badRequest")


def test_a_zone(world: World, aggregate: str) -> None:
    act(world, aggregate, add_host={"host": "c2"})
    assert set(zones(world)) == {"nova"}
    change = {"aggregate": {"availability_zone": "z1"}}
    world.put(aggregate, change, token="admin")
    plain = zones(world)
    assert plain["z1"] == {"zoneName": "z1", "zoneState": {"available": True}, "hosts": None}
    detailed = zones(world, "/detail")
    service = detailed["z1"]["hosts"]["c2"]["nova-compute"]
    assert set(service) == {"available", "active", "updated_at"}
    assert (service["available"], service["active"]) == (True, True)
    assert list(detailed["nova"]["hosts"]) == ["c1"]
    world.bus.send(DisableService(host="c2"), "default")
    assert zones(world)["z1"]["zoneState"] == {"available": False}
    world.bus.send(EnableService(host="c2"), "default")
    none = {"aggregate": {"availability_zone": None}}
    refused(world.put(aggregate, none, token="admin"), 400, "badRequest", "empty named")


def test_a_zone_stays_under_its_servers(world: World, aggregate: str) -> None:
    act(world, aggregate, add_host={"host": "c2"})
    world.put(aggregate, {"aggregate": {"availability_zone": "z2"}}, token="admin")
    server_id = world.boot({"availability_zone": "z2"})
    change = {"aggregate": {"availability_zone": "z3"}}
    refused(world.put(aggregate, change, token="admin"), 400, "badRequest", "contain instances")
    refused(act(world, aggregate, remove_host={"host": "c2"}), 409, "conflictingRequest")
    world.delete(f"/servers/{server_id}")
    world.work()


def test_images_are_not_cached_ahead(world: World, aggregate: str) -> None:
    body = {"cache": [{"id": world.image_id}]}

    def cache(body: Any, version: str = "2.81") -> Any:
        return world.post(f"{aggregate}/images", body, version=version, token="admin")

    refused(cache(body), 501, "notImplemented", "cached")
    refused(cache({"cache": body["cache"] * 2}), 400, "badRequest", "Duplicate")
    refused(cache({"cache": []}), 400, "badRequest")
    refused(cache(body, "2.80"), 404, "itemNotFound")


@pytest.mark.parametrize("id", ["x", "-1"])
def test_ids_are_numbers(world: World, id: str) -> None:
    refused(world.get(f"/os-aggregates/{id}", token="admin"), 400, "badRequest", "integer")
    refused(world.get(f"/os-aggregates/{'9' * 30}", token="admin"), 404, "itemNotFound")


def test_only_for_admins(world: World, aggregate: str) -> None:
    refused(world.get("/os-aggregates"), 403, "forbidden", "os-aggregates:index")
    refused(world.get(aggregate), 403, "forbidden", "os-aggregates:show")
    refused(world.delete(aggregate), 403, "forbidden", "os-aggregates:delete")
    body = {"aggregate": {"name": "x"}}
    refused(world.post("/os-aggregates", body), 403, "forbidden", "os-aggregates:create")
    refused(world.put(aggregate, body), 403, "forbidden", "os-aggregates:update")
    action = {"add_host": {"host": "c2"}}
    refused(world.post(f"{aggregate}/action", action), 403, "forbidden", "add_host")
    answer = world.get("/os-availability-zone/detail")
    refused(answer, 403, "forbidden", "os-availability-zone:detail")
