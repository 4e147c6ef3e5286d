"""A server's tags."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.api.compute.world import World, refused

V = "2.26"


def test_all_and_each(world: World) -> None:
    path = f"/servers/{world.boot()}/tags"
    assert world.get(path, version=V).json == {"tags": []}
    added = world.put(f"{path}/one", version=V)
    assert added.status_code == 201
    assert added.headers["location"] == f"http://cloud.test/compute/v2.1{path}/one"
    assert world.put(f"{path}/one", version=V).status_code == 204
    assert world.get(f"{path}/one", version=V).status_code == 204
    replaced = world.put(path, {"tags": ["b", "a", "b"]}, version=V)
    assert (replaced.status_code, replaced.json) == (200, {"tags": ["b", "a"]})
    assert world.delete(f"{path}/b", version=V).status_code == 204
    assert world.get(path, version=V).json == {"tags": ["a"]}
    assert world.delete(path, version=V).status_code == 204
    assert world.get(path, version=V).json == {"tags": []}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_tag(world: World, method: str) -> None:
    answer = world.request(method, f"/servers/{world.boot()}/tags/none", version=V)
    refused(answer, 404, "itemNotFound", "has no tag 'none'")


def test_before_2_26_there_are_none(world: World) -> None:
    path = f"/servers/{world.boot()}/tags"
    for method in ("GET", "PUT", "DELETE"):
        refused(world.request(method, path, version="2.25"), 404, "itemNotFound")


@pytest.mark.parametrize(
    "tags", [None, "x", [1], [""], ["x" * 61], ["a,b"], [str(i) for i in range(51)]]
)
def test_tags_that_cannot_be(world: World, tags: Any) -> None:
    answer = world.put(f"/servers/{world.boot()}/tags", {"tags": tags}, version=V)
    refused(answer, 400, "badRequest")


@pytest.mark.parametrize("tag", ["a,b", "x" * 61])
def test_one_tag_that_cannot_be(world: World, tag: str) -> None:
    answer = world.put(f"/servers/{world.boot()}/tags/{tag}", version=V)
    refused(answer, 400, "badRequest", "is invalid")


def test_one_too_many(world: World) -> None:
    path = f"/servers/{world.boot()}/tags"
    assert world.put(path, {"tags": [str(i) for i in range(50)]}, version=V).status_code == 200
    refused(world.put(f"{path}/more", version=V), 400, "badRequest", "limit 50")


def test_a_reader_reads(world: World) -> None:
    path = f"/servers/{world.boot()}/tags"
    assert world.get(path, version=V, token="reader").status_code == 200
    for method in ("PUT", "DELETE"):
        answer = world.request(method, f"{path}/x", version=V, token="reader")
        refused(answer, 403, "forbidden", "os-server-tags")


@pytest.mark.parametrize("tag", ["日本", "Привет", "🦀", "a b", "ä%?#"])
def test_a_tag_of_any_letters_is_in_an_encoded_link(world: World, tag: str) -> None:
    path = f"/servers/{world.boot()}/tags"
    added = world.put(f"{path}/{quote(tag)}", version=V)
    assert added.status_code == 201
    assert added.headers["location"] == f"http://cloud.test/compute/v2.1{path}/{quote(tag)}"
    assert world.get(path, version=V).json == {"tags": [tag]}


def test_links_to_a_flavor_with_a_space_in_its_id(world: World) -> None:
    flavor = {"id": "a b", "name": "spaced", "ram": 1, "vcpus": 1, "disk": 0}
    made = world.post("/flavors", {"flavor": flavor}, token="admin").json["flavor"]
    assert made["links"][0]["href"] == "http://cloud.test/compute/v2.1/flavors/a%20b"
