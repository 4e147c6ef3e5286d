"""A server's metadata and addresses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.compute.world import World, refused


def test_all_and_each(world: World) -> None:
    server_id = world.boot({"metadata": {"a": "1"}})
    path = f"/servers/{server_id}/metadata"
    assert world.get(path).json == {"metadata": {"a": "1"}}
    merged = world.post(path, {"metadata": {"b": "2"}})
    assert (merged.status_code, merged.json) == (200, {"metadata": {"a": "1", "b": "2"}})
    assert world.get(f"{path}/b").json == {"meta": {"b": "2"}}
    assert world.put(f"{path}/b", {"meta": {"b": "3"}}).json == {"meta": {"b": "3"}}
    assert world.delete(f"{path}/a").status_code == 204
    assert world.get(path).json == {"metadata": {"b": "3"}}
    assert world.put(path, {"metadata": {}}).json == {"metadata": {}}
    assert world.get(f"/servers/{server_id}").json["server"]["metadata"] == {}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_item(world: World, method: str) -> None:
    answer = world.request(method, f"/servers/{world.boot()}/metadata/nothing")
    refused(answer, 404, "itemNotFound", "Metadata item was not found")


@pytest.mark.parametrize(
    "body", [{}, {"metadata": None}, {"metadata": {"a": 1}}, {"metadata": {"a/b": ""}}, {"x": {}}]
)
def test_items_that_cannot_be(world: World, body: Any) -> None:
    server_id = world.boot()
    refused(world.post(f"/servers/{server_id}/metadata", body), 400, "badRequest")
    refused(world.put(f"/servers/{server_id}/metadata", body), 400, "badRequest")


@pytest.mark.parametrize(
    "meta", [{}, {"a": "1", "b": "2"}, {"a": None}, {"b": "1"}, {"a": "x" * 256}]
)
def test_one_item_that_cannot_be(world: World, meta: Any) -> None:
    answer = world.put(f"/servers/{world.boot()}/metadata/a", {"meta": meta})
    refused(answer, 400, "badRequest")


def test_too_many(world: World) -> None:
    items = {str(i): "" for i in range(129)}
    answer = world.post(f"/servers/{world.boot()}/metadata", {"metadata": items})
    refused(answer, 403, "forbidden", "metadata items")


def test_a_server_that_is_being_built(world: World) -> None:
    server_id = world.create().json["server"]["id"]
    answer = world.post(f"/servers/{server_id}/metadata", {"metadata": {"a": "b"}})
    refused(answer, 409, "conflictingRequest", "building")


def test_a_reader_reads(world: World) -> None:
    path = f"/servers/{world.boot()}/metadata"
    assert world.get(path, token="reader").status_code == 200
    answer = world.post(path, {"metadata": {}}, token="reader")
    refused(answer, 403, "forbidden", "os_compute_api:server-metadata:create")


def test_addresses(world: World) -> None:
    path = f"/servers/{world.boot()}/ips"
    assert world.get(path).json == {"addresses": {}}
    refused(world.get(f"{path}/private"), 404, "itemNotFound", "not a member")
