"""Servers as rows, and pages of many of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import msgspec
import orjson
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from events.compute.flavor import FlavorSnapshot
from events.compute.server import Fault, ImageSnapshot, PublicKey, SecretsRef, Server
from projections.compute import server_queries as queries
from projections.compute.servers import SERVERS, document, row
from projections.connection import GONE
from projections.instants import microseconds, parse, seconds_z
from tests.parts.local_bus import store
from tests.parts.postgres import PostgresServer

AT = 1_790_000_000_123_456
SERVER = Server(
    server_id="5b1d0000-0000-4000-8000-000000000000",
    project_id="p1",
    user_id="u1",
    name="web-1",
    hostname="web-1",
    reservation_id="r-abc",
    launch_index=0,
    flavor=FlavorSnapshot(flavor_id="1", name="m1.small", vcpus=1, ram_mib=2048, root_gib=20),
    image=ImageSnapshot(image_id="i1", name="demo", checksum="ab", size_bytes=1, disk_format="raw"),
    metadata={"role": "web"},
    tags=["a"],
    description=None,
    public_key=PublicKey(name="k", type="ssh", public_key="ssh-ed25519 AAAA"),
    secrets=SecretsRef(
        secrets_id="ab" * 32,
        user_data=True,
        stored_at=1,
    ),
    requested_zone="z1",
    requested_host=None,
    forced_host=False,
    scheduler_hints={"same_host": ["x", "y"], "query": ["q"]},
    config_drive=True,
    networks="none",
    security_groups=[],
    disk_config="MANUAL",
    access_ip_v4="",
    access_ip_v6="",
    seed=1,
    fingerprint="",
    created_at=AT,
    updated_at=AT,
)


def changed(**fields: object) -> Server:
    return msgspec.structs.replace(SERVER, **fields)


def test_before_it_is_placed() -> None:
    shown = document(SERVER)
    assert shown["status"] == "BUILD"
    assert shown["hostId"] == ""
    assert shown["OS-EXT-AZ:availability_zone"] == "z1"
    assert shown["pinned_availability_zone"] == "z1"
    assert shown["OS-SRV-USG:launched_at"] is None
    assert shown["scheduler_hints"] == {"same_host": ["x", "y"], "query": "q"}
    assert shown["config_drive"] == "True"
    assert shown["key_name"] == "k"
    assert shown["progress"] == 0
    assert "fault" not in shown
    assert "security_groups" not in shown
    assert shown["created"] == "2026-09-21T14:13:20Z"


def test_how_far_a_build_is() -> None:
    assert document(changed(progress=42))["progress"] == 42


def test_once_it_runs() -> None:
    shown = document(
        changed(
            vm_state="active",
            task_state=None,
            host="c1",
            node="c1.x",
            power_state=1,
            launched_at=AT,
        )
    )
    assert shown["status"] == "ACTIVE"
    assert shown["OS-EXT-AZ:availability_zone"] == "nova"
    assert shown["OS-SRV-USG:launched_at"] == "2026-09-21T14:13:20.123456"
    assert len(shown["hostId"]) == 56


def test_a_fault_shows_in_error_only() -> None:
    fault = Fault(code=500, message="No valid host", details="why", created_at=AT)
    assert "fault" not in document(changed(vm_state="active", fault=fault))
    shown = document(changed(vm_state="error", task_state=None, fault=fault))
    assert shown["fault"] == {
        "code": 500,
        "created": "2026-09-21T14:13:20Z",
        "message": "No valid host",
        "details": "why",
    }
    assert "progress" not in shown


def test_the_row_says_only_where_secrets_are_kept() -> None:
    found = row(SERVER)
    assert SERVER.secrets is not None
    assert found["secrets_id"] == SERVER.secrets.secrets_id
    assert document(SERVER)["secrets"] == msgspec.structs.asdict(SERVER.secrets)
    assert "OS-EXT-SRV-ATTR:user_data" not in document(SERVER)


def test_a_row_has_every_column_and_the_document() -> None:
    own = {c.name for c in SERVERS.columns} - {"id", "state", "sequence"}
    assert set(row(SERVER)) == own
    assert orjson.loads(str(row(SERVER)["document"])) == document(SERVER)
    assert row(changed(vm_state="deleted"))["deleted"] is True


def test_moments() -> None:
    assert parse("2026-09-21T14:13:20.123456") == AT
    assert parse("2026-09-21T16:13:20.123456+02:00") == AT
    assert parse(microseconds(AT)) == AT
    assert parse(seconds_z(AT)) == AT - 123_456


MANY = 20_000

FILL = f"""
INSERT INTO servers
SELECT lpad(n::text, 36, '0'), 'p' || mod(n, 20), 'u1', 'vm-' || n, 'vm', NULL, 'active', NULL, 1,
       'c' || mod(n, 10), 'c', 'i1', 'f1', 1, 512, 'nova', NULL, false, 'r-1', 0, NULL, 'MANUAL',
       '', '', ARRAY['t' || mod(n, 5)], n, n, n, NULL, mod(n, 10) = 9, NULL, repeat('x', 2000),
       ''::bytea, 1
FROM generate_series(1, {MANY}) n
"""


@pytest.fixture(scope="module")
def many(database: PostgresServer) -> Iterator[Engine]:
    with store(database.url) as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql(FILL)
            connection.exec_driver_sql("ANALYZE servers")
        yield engine


def plan(engine: Engine, query: queries.ServerQuery) -> str:
    """How Postgres reads the page, without running it twice."""
    seen: list[str] = []

    def explain(conn: object, cursor: object, sql: str, params: object, *rest: object) -> object:
        if "LIMIT" in sql:
            return f"EXPLAIN {sql}", params
        return sql, params

    event.listen(engine, "before_cursor_execute", explain, retval=True)
    try:
        seen = [line for (line,) in queries._page(engine, query, queries.VIEWED)]
    finally:
        event.remove(engine, "before_cursor_execute", explain)
    return "\n".join(seen)


LIVE = {"deleted": [False]}


@pytest.mark.parametrize("marker", [None, f"{10_000:036}"])
def test_a_page_of_a_project_needs_no_sort(many: Engine, marker: str | None) -> None:
    query = queries.ServerQuery(exact=LIVE | {"project_id": ["p0"]}, limit=200, marker=marker)
    text = plan(many, query)
    assert "servers_of_project" in text
    assert "Sort" not in text


@pytest.mark.parametrize("marker", [None, f"{10_000:036}"])
def test_a_page_of_all_projects_needs_no_sort(many: Engine, marker: str | None) -> None:
    text = plan(many, queries.ServerQuery(exact=LIVE, limit=200, marker=marker))
    assert "servers_live" in text
    assert "Sort" not in text


def test_pages_of_many(many: Engine) -> None:
    names: list[str] = []
    marker = None
    while True:
        query = queries.ServerQuery(exact=LIVE | {"project_id": ["p0"]}, limit=300, marker=marker)
        page = queries.list_names(many, query)
        names += [server.name for server in page]
        if len(page) < 300:
            break
        marker = page[-1].id
    expected = [f"vm-{n}" for n in range(MANY, 0, -1) if n % 20 == 0]
    assert names == expected


def test_a_bad_pattern(many: Engine) -> None:
    with pytest.raises(queries.BadPattern):
        queries.list_names(many, queries.ServerQuery(patterns={"name": "["}))


def test_one_by_id(many: Engine) -> None:
    found = queries.find_server(many, f"{7:036}")
    assert found is not None
    assert (found.project_id, found.host, found.deleted) == ("p7", "c7", False)
    assert queries.find_server(many, "nothing") is None


def test_a_broken_connection_is_not_used_again(many: Engine) -> None:
    end = "SELECT pg_terminate_backend(pg_backend_pid())"
    with pytest.raises(OperationalError), many.connect() as connection:
        connection.exec_driver_sql(end)
    raw = many.raw_connection()
    with pytest.raises(GONE), closing(raw.cursor()) as cursor:
        cursor.execute(end)
    raw.close()
    assert queries.find_server(many, f"{7:036}") is not None
