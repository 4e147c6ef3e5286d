"""Usage: exact hours, whose, pages, and what cannot be asked."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from projections.compute.usage_queries import UsedServer
from tests.api.compute.world import OTHER, PROJECT, World, refused

PATH = "/os-simple-tenant-usage"
LONG_AGO = "2026-01-01T00:00:00"
FUTURE = "2199-01-01T00:00:00.5"
SERVER = {
    *("instance_id", "name", "tenant_id", "flavor", "hours", "vcpus", "memory_mb", "local_gb"),
    *("started_at", "ended_at", "state", "uptime"),
}
HOUR = 3600 * 10**6


@pytest.fixture(scope="module", autouse=True)
def servers(world: World) -> list[str]:
    gone = world.boot({"name": "gone"})
    ids = [gone, world.boot({"name": "here"}), world.boot(token="stranger")]
    world.create({"name": "never"})
    world.work(fail="no disk")
    assert world.delete(f"/servers/{gone}").status_code == 204
    world.work()
    return ids


def got(world: World, query: str, version: str = "2.1", token: str = "admin") -> Any:
    answer = world.get(f"{PATH}{query}", version=version, token=token)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_one_project(world: World, servers: list[str]) -> None:
    usage = got(world, f"/{PROJECT}?start={LONG_AGO}&end={FUTURE}", token="member")["tenant_usage"]
    assert (usage["tenant_id"], usage["start"]) == (PROJECT, f"{LONG_AGO}.000000")
    rows = {row["name"]: row for row in usage["server_usages"]}
    assert set(rows) == {"gone", "here"}
    assert all(set(row) == SERVER for row in rows.values())
    assert (rows["gone"]["state"], rows["here"]["state"]) == ("terminated", "active")
    assert rows["here"]["ended_at"] is None
    assert rows["gone"]["ended_at"] > rows["gone"]["started_at"]
    assert rows["here"]["instance_id"] == servers[1]
    for row in rows.values():
        size = (row["flavor"], row["vcpus"], row["memory_mb"], row["local_gb"])
        assert size == ("m1.tiny", 1, 512, 1)
        assert row["hours"] > 0
    assert usage["total_hours"] == pytest.approx(sum(row["hours"] for row in rows.values()))
    assert usage["total_memory_mb_usage"] == pytest.approx(512 * usage["total_hours"])
    assert usage["total_vcpus_usage"] == pytest.approx(usage["total_hours"])
    assert usage["total_local_gb_usage"] == pytest.approx(usage["total_hours"])


def test_all_projects(world: World) -> None:
    usages = got(world, f"?start={LONG_AGO}")["tenant_usages"]
    assert [usage["tenant_id"] for usage in usages] == [PROJECT, OTHER]
    assert all("server_usages" not in usage for usage in usages)
    usages = got(world, f"?start={LONG_AGO}&detailed=1")["tenant_usages"]
    assert [len(usage["server_usages"]) for usage in usages] == [2, 1]


def test_a_period_without_servers(world: World) -> None:
    query = f"?start={LONG_AGO}&end=2026-01-02 00:00:00.0"
    assert got(world, query)["tenant_usages"] == []
    assert got(world, f"/{PROJECT}{query}") == {"tenant_usage": {}}
    assert got(world, f"/nobody?start={LONG_AGO}") == {"tenant_usage": {}}


def test_this_moment(world: World) -> None:
    usage = got(world, f"/{PROJECT}", token="member")["tenant_usage"]
    assert [row["name"] for row in usage["server_usages"]] == ["here"]
    assert usage["total_hours"] == 0


def test_pages(world: World, servers: list[str]) -> None:
    ids, query = [], f"?start={LONG_AGO}&detailed=1&limit=1"
    for _ in range(3):
        body = got(world, query, "2.40")
        (usage,) = body["tenant_usages"]
        ids.append(usage["server_usages"][0]["instance_id"])
        (link,) = body["tenant_usages_links"]
        query = "?" + link["href"].partition("?")[2]
    assert ids == [*sorted(servers[:2]), servers[2]]
    assert got(world, query, "2.40") == {"tenant_usages": []}
    body = got(world, f"/{PROJECT}?start={LONG_AGO}&limit=1", "2.40", "member")
    assert f"{PATH}/{PROJECT}?limit=1&marker=" in body["tenant_usage_links"][0]["href"]
    assert len(got(world, f"?start={LONG_AGO}&limit=1", "2.39")["tenant_usages"]) == 2
    for path, marker in (("", uuid.uuid4()), (f"/{PROJECT}", servers[2])):
        query = f"{PATH}{path}?start={LONG_AGO}&marker={marker}"
        refused(world.get(query, version="2.40", token="admin"), 400, "badRequest", str(marker))


@pytest.mark.parametrize(
    ("query", "version"),
    [
        (f"?end={LONG_AGO}", "2.1"),
        ("?start=yesterday", "2.1"),
        (f"?start={FUTURE}", "2.1"),
        ("?start=2026-01-02T00:00:00&end=2026-01-01T00:00:00", "2.1"),
        (f"?start={LONG_AGO}&limit=x", "2.40"),
        (f"?start={LONG_AGO}&colour=red", "2.75"),
    ],
)
def test_what_cannot_be_asked(world: World, query: str, version: str) -> None:
    answer = world.get(f"{PATH}{query}", version=version, token="admin")
    refused(answer, 400, "badRequest")


def test_whose(world: World) -> None:
    refused(world.get(f"{PATH}?start={LONG_AGO}"), 403, "forbidden", "usage:list")
    refused(world.get(f"{PATH}/{OTHER}?start={LONG_AGO}"), 403, "forbidden", "usage:show")


@pytest.mark.parametrize(
    ("launched", "terminated", "hours"),
    [(0, None, 2), (11, None, 1), (0, 9, 0), (0, 11, 1), (13, None, 0), (10, 12, 2)],
)
def test_exact_hours(launched: int, terminated: int | None, hours: int) -> None:
    server = UsedServer(
        id="s",
        name="s",
        project_id="p",
        flavor_name="f",
        vcpus=1,
        ram_mib=1,
        disk_gib=1,
        launched_at=launched * HOUR,
        terminated_at=None if terminated is None else terminated * HOUR,
        vm_state="active",
    )
    assert server.ran(10 * HOUR, 12 * HOUR) == hours * HOUR
