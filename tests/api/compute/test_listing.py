"""GET /servers and /servers/detail: filters, order, pages, for whom."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from commands.compute.lock import LockServer
from projections import pages
from projections.compute.server_queries import ServerQuery, list_servers
from projections.instants import microseconds
from tests.api.compute.world import OTHER, PROJECT, World, refused, stocked
from tests.parts.local_bus import store
from tests.parts.postgres import PostgresServer


class Fleet:
    """Servers a-1 … a-5 and b (tagged, locked, stopped), c (another project's), d (deleted)."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ids: dict[str, str] = {}
        for name in ("a-1", "a-2", "a-3", "a-4", "a-5"):
            self.ids[name] = world.boot({"name": name, "tags": ["web", name]})
        self.ids["b"] = world.boot(
            {"name": "b", "tags": ["db"], "config_drive": True, "description": "data base"}
        )
        self.ids["c"] = world.boot({"name": "c"}, token="stranger")
        self.ids["d"] = world.boot({"name": "d"})
        world.delete(f"/servers/{self.ids['d']}")
        world.act(self.ids["b"], {"os-stop": None})
        world.work()
        world.bus.send(LockServer(server_id=self.ids["b"]), PROJECT)

    def names(self, query: str, **given: Any) -> list[str]:
        given.setdefault("version", "2.74")
        answer = self.world.get(f"/servers?{query}", **given)
        assert answer.status_code == 200, answer.text
        detail = self.world.get(f"/servers/detail?{query}", **given)
        names = [server["name"] for server in answer.json["servers"]]
        assert [server["name"] for server in detail.json["servers"]] == names
        return names


@pytest.fixture(scope="module")
def fleet(database: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with store(database.url) as engine:
        yield Fleet(stocked(World.new(engine, tmp_path_factory.mktemp("cloud"))))


ALL = ["b", "a-5", "a-4", "a-3", "a-2", "a-1"]


def test_newest_first(fleet: Fleet) -> None:
    assert fleet.names("") == ALL


def test_an_item_of_the_brief_list(fleet: Fleet) -> None:
    item = fleet.world.get("/servers").json["servers"][0]
    assert sorted(item) == ["id", "links", "name"]
    assert item["links"][0]["href"] == f"http://cloud.test/compute/v2.1/servers/{item['id']}"


def test_an_item_of_the_detailed_list_is_the_view_without_groups(fleet: Fleet) -> None:
    item = fleet.world.get("/servers/detail", version="2.104").json["servers"][0]
    shown = fleet.world.get(f"/servers/{item['id']}", version="2.104").json["server"]
    assert shown.pop("server_groups") == []
    assert item == shown


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=a-", ["a-5", "a-4", "a-3", "a-2", "a-1"]),
        ("name=^a-[12]$", ["a-2", "a-1"]),
        ("name=a-1&name=b", ["b"]),
        ("status=ACTIVE", ["a-5", "a-4", "a-3", "a-2", "a-1"]),
        ("status=shutoff", ["b"]),
        ("status=SHUTOFF&status=ACTIVE", ALL),
        ("status=REBOOT", []),
        ("status=ERROR", []),
        ("flavor=m1.tiny", ALL),
        ("flavor=m1.huge", []),
        ("image=nothing", []),
        ("tags=web", ["a-5", "a-4", "a-3", "a-2", "a-1"]),
        ("tags=web,a-3", ["a-3"]),
        ("tags-any=db,a-3", ["b", "a-3"]),
        ("not-tags=web,a-3", ["b", "a-5", "a-4", "a-2", "a-1"]),
        ("not-tags-any=db,a-3", ["a-5", "a-4", "a-2", "a-1"]),
        ("locked=true", ["b"]),
        ("locked=False", ["a-5", "a-4", "a-3", "a-2", "a-1"]),
        ("ip=10.", []),
        ("host=c1", ALL),
        ("uuid=nothing", ALL),
        ("deleted=True", ALL),
        ("unknown=1", ALL),
        ("all_tenants=False", ALL),
        ("project_id=" + OTHER, ALL),
        ("limit=2", ["b", "a-5"]),
        ("limit=0", []),
        ("sort_key=display_name&sort_dir=asc", ["a-1", "a-2", "a-3", "a-4", "a-5", "b"]),
        ("sort_key=display_name", ["b", "a-5", "a-4", "a-3", "a-2", "a-1"]),
        (
            "sort_key=vm_state&sort_dir=desc&sort_key=display_name&sort_dir=asc",
            ["b", "a-1", "a-2", "a-3", "a-4", "a-5"],
        ),
        ("sort_key=uuid&sort_key=user_id&limit=0", []),
        ("sort_key=architecture&sort_dir=asc", ["a-1", "a-2", "a-3", "a-4", "a-5", "b"]),
    ],
)
def test_a_member_filters(fleet: Fleet, query: str, names: list[str]) -> None:
    assert fleet.names(query) == names


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("vm_state=stopped", ["b"]),
        ("power_state=4", ["b"]),
        ("task_state=deleting", []),
        ("config_drive=true", ["b"]),
        ("user_id=alice", ALL),
        ("user_id=bob", []),
        ("availability_zone=nova", ALL),
        ("progress=0", ALL),
        ("progress=5", []),
        ("key_name=x", []),
        ("hostname=^b$", ["b"]),
    ],
)
def test_a_member_filters_more_from_2_83_on(fleet: Fleet, query: str, names: list[str]) -> None:
    assert fleet.names(query, version="2.90") == names
    if not query.startswith("hostname"):
        assert fleet.names(query, version="2.82") == ALL, "silently dropped"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("all_tenants=1", ["c", *ALL]),
        ("all_tenants", ["c", *ALL]),
        ("all_tenants=1&project_id=" + OTHER, ["c"]),
        ("all_tenants=1&tenant_id=" + OTHER, ["c"]),
        ("all_tenants=True&host=c1", ["c", *ALL]),
        ("all_tenants=True&host=c2", []),
        ("all_tenants=True&node=c1.test", ["c", *ALL]),
        ("all_tenants=1&description=base", ["b"]),
        ("all_tenants=1&deleted=True", ["d"]),
        ("all_tenants=1&status=deleted", ["d"]),
        ("all_tenants=1&launch_index=0", ["c", *ALL]),
        ("all_tenants=1&kernel_id=x", []),
        ("all_tenants=1&locked_by=owner", ["b"]),
        ("all_tenants=1&sort_key=project_id&sort_key=host&sort_dir=desc", ["c", *reversed(ALL)]),
    ],
)
def test_an_admin_filters(fleet: Fleet, query: str, names: list[str]) -> None:
    got = fleet.names(query, token="admin")
    if "sort_key" in query:
        assert got[0] == "c"
        assert sorted(got) == sorted(names)
    else:
        assert got == names


def test_an_admin_sees_own_project_without_all_tenants(fleet: Fleet) -> None:
    assert fleet.names("", token="admin") == []
    assert fleet.names("project_id=" + OTHER, token="admin") == []


def test_all_tenants_is_for_admins(fleet: Fleet) -> None:
    answer = fleet.world.get("/servers?all_tenants=1")
    refused(answer, 403, "forbidden", "os_compute_api:servers:index:get_all_tenants")
    answer = fleet.world.get("/servers/detail?all_tenants=1")
    refused(answer, 403, "forbidden", "os_compute_api:servers:detail:get_all_tenants")
    refused(fleet.world.get("/servers?status=deleted"), 403, "forbidden")
    refused(fleet.world.get("/servers?sort_key=host"), 403, "forbidden")


@pytest.mark.parametrize(
    ("query", "version"),
    [
        ("limit=-1", "2.1"),
        ("limit=x", "2.1"),
        ("limit=1.5", "2.1"),
        ("marker=nothing", "2.1"),
        ("all_tenants=perhaps", "2.1"),
        ("sort_key=secret", "2.1"),
        ("sort_key=architecture", "2.75"),
        ("sort_dir=up", "2.1"),
        ("sort_key=uuid&sort_dir=asc&sort_dir=desc", "2.1"),
        ("changes-since=yesterday", "2.1"),
        ("changes-since=2026-01-02&changes-before=2026-01-01", "2.66"),
        ("status=unknown", "2.38"),
        ("_x=1", "2.1"),
        ("system_metadata=1", "2.1"),
        ("unknown=1", "2.75"),
        ("locked=perhaps", "2.73"),
        ("name=[", "2.1"),
        ("name=(", "2.1"),
        ("name=%00", "2.1"),
        ("name=^(a*)(a*)%5C1%5C2aab?$", "2.1"),
        ("name=%5C%5C%5C1", "2.1"),
        ("name=" + "a" * 256, "2.1"),
        ("power_state=on", "2.83"),
        ("created_at=soon", "2.83"),
    ],
)
def test_queries_that_cannot_be(fleet: Fleet, query: str, version: str) -> None:
    refused(fleet.world.get(f"/servers/detail?{query}", version=version), 400, "badRequest")


def test_an_unknown_status_was_an_empty_list(fleet: Fleet) -> None:
    assert fleet.names("status=unknown", version="2.37") == []


def test_changes(fleet: Fleet) -> None:
    world = fleet.world
    since = world.get("/servers/detail?name=b").json["servers"][0]["updated"]
    recent = fleet.names(f"changes-since={since}")
    assert "d" in recent, "deleted ones too"
    assert "b" in recent
    statuses = {
        s["name"]: s["status"]
        for s in world.get(f"/servers/detail?changes-since={since}").json["servers"]
    }
    assert statuses["d"] == "DELETED"
    assert fleet.names("changes-since=2100-01-01T00:00:00Z") == []
    assert fleet.names("changes-before=2100-01-01T00:00:00%2B02:00") == ["d", *ALL]
    assert fleet.names("changes-before=2000-01-01") == []


def test_what_is_shown_is_what_is_compared(fleet: Fleet) -> None:
    """Shown in whole seconds: a server is among the changes before and since that second."""
    server = fleet.world.get("/servers/detail?name=b").json["servers"][0]
    assert "b" in fleet.names(f"changes-before={server['updated']}")
    assert "b" in fleet.names(f"changes-since={server['updated']}")
    assert "b" in fleet.names(f"created_at={server['created']}", version="2.83")
    late = server["updated"].replace("Z", ".999999Z")
    assert "b" in fleet.names(f"changes-before={late}")


@pytest.mark.parametrize(
    "query",
    [
        *("name=", "image=", "flavor=", "status=", "tags=", "ip=", "reservation_id="),
        *("key_name=", "hostname=", "name", "changes-since=", "locked="),
    ],
)
def test_an_empty_filter_is_a_mistake(fleet: Fleet, query: str) -> None:
    """Scripts that leave out what to look for would get, and perhaps delete, all."""
    refused(fleet.world.get(f"/servers?{query}", version="2.95"), 400, "badRequest")


@pytest.mark.parametrize("query", ["project_id=", "tenant_id=", "host=", "uuid="])
def test_an_empty_filter_is_a_mistake_of_admins_too(fleet: Fleet, query: str) -> None:
    path = f"/servers?all_tenants=1&{query}"
    refused(fleet.world.get(path, token="admin"), 400, "badRequest")


def test_filtering_by_a_moment(fleet: Fleet) -> None:
    with fleet.world.engine.connect() as connection:
        at = connection.exec_driver_sql(
            "SELECT created_at FROM servers WHERE name = 'a-3'"
        ).scalar_one()
    assert fleet.names(f"created_at={microseconds(at)}", version="2.83") == ["a-3"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=2",
        "limit=2&sort_key=display_name&sort_dir=asc",
        "limit=4&sort_key=vm_state&sort_dir=asc&sort_key=display_name&sort_dir=desc",
        "limit=1&sort_key=task_state&sort_key=launched_at",
        "limit=3&sort_key=key_name&sort_dir=asc&sort_key=terminated_at&sort_dir=desc",
        "limit=2&sort_key=config_drive&sort_dir=desc",
        "limit=5&status=ACTIVE&status=SHUTOFF",
    ],
)
@pytest.mark.parametrize("path", ["/servers", "/servers/detail", f"/{PROJECT}/servers"])
def test_pages_hold_everything_once(fleet: Fleet, path: str, query: str) -> None:
    following: str | None = f"{path}?{query}"
    limit = int(query[6])
    names: list[str] = []
    for _ in range(10):
        answer = fleet.world.get(following or "")
        assert answer.status_code == 200, answer.text
        page = [server["name"] for server in answer.json["servers"]]
        names += page
        links = answer.json.get("servers_links")
        assert (links is not None) == (len(page) == limit)
        if links is None:
            break
        url = urlsplit(links[0]["href"])
        assert links[0]["rel"] == "next"
        assert url.path == f"/compute/v2.1{path}"
        following = f"{path}?{url.query}"
    assert sorted(names) == sorted(ALL)
    assert names == fleet.names(query.partition("&")[2])


def test_a_marker_of_another_project_is_unknown(fleet: Fleet) -> None:
    answer = fleet.world.get(f"/servers?marker={fleet.ids['c']}")
    refused(answer, 400, "badRequest", f"marker [{fleet.ids['c']}] not found")


def test_host_status_is_listed_for_admins(fleet: Fleet) -> None:
    listed = fleet.world.get("/servers/detail?all_tenants=1", version="2.16", token="admin").json
    assert {server["host_status"] for server in listed["servers"]} == {"UP"}


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {f"{number:0250}": "x" * 250 for number in range(120)}},
        {"user_data": base64.b64encode(bytes(45_000)).decode()},
    ],
    ids=["metadata", "user_data"],
)
def test_a_page_has_so_many_bytes(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, body: dict[str, Any]
) -> None:
    """Each server here has 60 kB; a thousand would be 60 MB in one answer."""
    monkeypatch.setattr(pages, "PAGE_BYTES", 100_000)
    world = fleet.world
    made = [world.boot({"name": "long"} | body, token="project-admin") for _ in range(3)]
    query, found = "name=long&sort_dir=asc&limit=500", list[list[str]]()
    while query:
        answer = world.get(f"/servers/detail?{query}", version="2.3", token="project-admin").json
        found.append([server["id"] for server in answer["servers"]])
        (link,) = answer.get("servers_links", [{"href": ""}])
        query = urlsplit(link["href"]).query
    assert found == [made[:2], made[2:]]
    if "metadata" in body:
        rows = list_servers(world.engine, ServerQuery(exact={"uuid": made}))
        assert [row.id for row in rows] == made[:0:-1]
    for id in made:
        world.delete(f"/servers/{id}", token="project-admin")
    world.work()
