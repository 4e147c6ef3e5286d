"""A refusal says that nothing was changed: what was accepted is not refused afterwards.

What a request changed may be gone when it is to be shown, or the tables lag behind. A history of
many clients found a 404 for metadata that had been set, of a server that another client deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from commands.compute.delete import DeleteServer
from events.message import Command
from projections.table import METADATA
from tests.api.compute.world import PROJECT, World


@pytest.fixture
def meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Have something done as soon as the next command was accepted."""

    def arrange(done: Callable[[], Any]) -> None:
        send = world.bus.send

        def sent(command: Command, *about: Any) -> None:
            send(command, *about)
            monkeypatch.setattr(world.bus, "send", send)
            done()

        monkeypatch.setattr(world.bus, "send", sent)

    return arrange


def test_metadata_of_a_server_that_is_deleted_meanwhile(world: World, meanwhile: Any) -> None:
    server_id = world.boot({"metadata": {"a": "1"}})
    meanwhile(lambda: _delete(world, server_id))
    answer = world.post(f"/servers/{server_id}/metadata", {"metadata": {"b": "2"}})
    assert (answer.status_code, answer.json) == (200, {"metadata": {"a": "1", "b": "2"}})


def test_a_server_that_is_renamed_and_deleted_meanwhile(world: World, meanwhile: Any) -> None:
    server_id = world.boot()
    meanwhile(lambda: _delete(world, server_id))
    answer = world.put(f"/servers/{server_id}", {"server": {"name": "other"}})
    assert (answer.status_code, answer.json["server"]["name"]) == (200, "other")


def test_metadata_that_does_not_show_yet(world: World, meanwhile: Any) -> None:
    server_id = world.boot()
    stale = "UPDATE servers SET document = :document WHERE id = :id"
    with world.engine.connect() as connection:
        read = text("SELECT document FROM servers WHERE id = :id")
        document = connection.execute(read, {"id": server_id}).scalar_one()

    def lag() -> None:
        with world.engine.begin() as connection:
            connection.execute(text(stale), {"id": server_id, "document": document})

    meanwhile(lag)
    answer = world.post(f"/servers/{server_id}/metadata", {"metadata": {"b": "2"}})
    assert (answer.status_code, answer.json) == (200, {"metadata": {"b": "2"}})


def _delete(world: World, server_id: str) -> None:
    world.bus.send(DeleteServer(server_id=server_id), PROJECT)
    world.work()


def test_a_second_change_that_is_refused(world: World, meanwhile: Any) -> None:
    """Of two changes in one request the first was accepted: the second's refusal is not all."""
    server_id = world.boot()
    meanwhile(lambda: _delete(world, server_id))
    body = {"server": {"name": "other", "description": "another"}}
    answer = world.put(f"/servers/{server_id}", body, version="2.90")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


MADE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "metadata": ("POST", "/servers/{server}/metadata", {"metadata": {"b": "2"}}),
    "server": ("PUT", "/servers/{server}", {"server": {"name": "other"}}),
    "new flavor": ("POST", "/flavors", {"flavor": {"name": "f", "ram": 1, "vcpus": 1, "disk": 0}}),
    "flavor": ("PUT", "/flavors/m1.tiny", {"flavor": {"description": "d"}}),
    "new aggregate": ("POST", "/os-aggregates", {"aggregate": {"name": "new"}}),
    "aggregate": ("PUT", "/os-aggregates/{aggregate}", {"aggregate": {"name": "other"}}),
    "host of an aggregate": (
        *("POST", "/os-aggregates/{aggregate}/action"),
        {"add_host": {"host": "c1"}},
    ),
    "service": ("PUT", "/os-services/{service}", {"status": "enabled"}),
}
"""Requests that read what they have changed."""


@pytest.mark.parametrize(("method", "path", "body"), MADE.values(), ids=MADE)
def test_what_does_not_show_is_not_refused(
    world: World, meanwhile: Any, method: str, path: str, body: Any
) -> None:
    admin: Any = {"token": "admin", "version": "2.90"}
    server_id = world.boot()
    given = {"aggregate": {"name": f"of {server_id}"}}
    aggregate = world.post("/os-aggregates", given, **admin).json["aggregate"]["id"]
    service = world.get("/os-services", **admin).json["services"][0]["id"]
    kept = {}

    def lose() -> None:
        """The tables are empty, as before all that."""
        with world.engine.begin() as connection:
            for table in METADATA.sorted_tables:
                rows = [dict(row) for row in connection.execute(table.select()).mappings()]
                kept[table] = rows
                connection.execute(table.delete())

    meanwhile(lose)
    where = path.format(server=server_id, aggregate=aggregate, service=service)
    answer = world.request(method, where, body, **admin)
    with world.engine.begin() as connection:
        for table, rows in kept.items():
            if rows:
                connection.execute(table.insert(), rows)
    assert kept
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
