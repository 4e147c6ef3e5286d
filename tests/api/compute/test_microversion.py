"""Negotiation, version documents, the spellings of a path, request ids."""

from __future__ import annotations

import re

import pytest

from tests.api.compute.world import OTHER, PROJECT, World, refused

REQUEST_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.mark.parametrize(
    ("headers", "served"),
    [
        ({}, "2.1"),
        ({"OpenStack-API-Version": "compute 2.60"}, "2.60"),
        ({"X-OpenStack-Nova-API-Version": "2.42"}, "2.42"),
        ({"OpenStack-API-Version": "compute latest"}, "2.104"),
        ({"X-OpenStack-Nova-API-Version": "latest"}, "2.104"),
        ({"OpenStack-API-Version": "volume 3.59"}, "2.1"),
        ({"OpenStack-API-Version": "volume 3.59, compute 2.9"}, "2.9"),
        ({"OpenStack-API-Version": "compute 2.9, compute 2.10"}, "2.10"),
        (
            {"OpenStack-API-Version": "compute 2.50", "X-OpenStack-Nova-API-Version": "2.42"},
            "2.50",
        ),
    ],
)
def test_the_version_asked_for_is_served(
    world: World, headers: dict[str, str], served: str
) -> None:
    answer = world.get("/servers", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["openstack-api-version"] == f"compute {served}"
    assert answer.headers["x-openstack-nova-api-version"] == served
    assert answer.headers["vary"] == "OpenStack-API-Version, X-OpenStack-Nova-API-Version"


@pytest.mark.parametrize("version", ["2.105", "3.0", "1.1", "2.0"])
def test_a_version_outside_the_range_is_406(world: World, version: str) -> None:
    answer = world.get("/servers", version=version)
    refused(answer, 406, "computeFault", f"Version {version} is not supported")
    assert "Minimum is 2.1 and maximum is 2.104" in answer.text


@pytest.mark.parametrize("version", ["2", "two", "2.01", "2.1.1", "02.1", "2.-1", ""])
def test_a_malformed_version_is_400(world: World, version: str) -> None:
    refused(world.get("/servers", version=version), 400, "badRequest", "invalid format")


def test_errors_carry_the_version_too(world: World) -> None:
    answer = world.get("/servers/nowhere", version="2.30")
    assert answer.status_code == 404
    assert answer.headers["openstack-api-version"] == "compute 2.30"


def test_every_answer_has_its_request_id(world: World) -> None:
    first, second = world.get("/servers"), world.get("/servers")
    assert REQUEST_ID.fullmatch(first.headers["x-openstack-request-id"])
    assert first.headers["x-compute-request-id"] == first.headers["x-openstack-request-id"]
    assert first.headers["x-compute-request-id"] != second.headers["x-compute-request-id"]


@pytest.mark.parametrize("path", ["/compute", "/compute/"])
def test_all_versions(world: World, path: str) -> None:
    answer = world.get(path, token=None)
    assert answer.status_code == 200
    old, new = answer.json["versions"]
    assert (old["id"], old["status"], old["version"]) == ("v2.0", "DEPRECATED", "")
    assert (new["id"], new["version"], new["min_version"]) == ("v2.1", "2.104", "2.1")
    assert new["links"] == [{"rel": "self", "href": "http://cloud.test/compute/v2.1/"}]
    assert "openstack-api-version" not in answer.headers


@pytest.mark.parametrize(
    ("path", "id"),
    [("/compute/v2.1", "v2.1"), ("/compute/v2.1/", "v2.1"), ("/compute/v2", "v2.0")],
)
def test_one_version(world: World, path: str, id: str) -> None:
    answer = world.get(path, token=None)
    assert answer.status_code == 200
    assert answer.json["version"]["id"] == id
    assert [link["rel"] for link in answer.json["version"]["links"]] == ["self", "describedby"]
    assert answer.json["version"]["media-types"][0]["base"] == "application/json"


def test_a_version_by_name(world: World) -> None:
    assert world.get("/versions/v2.1").json["version"]["id"] == "v2.1"
    refused(world.get("/versions/v9"), 404, "itemNotFound")


def test_an_unversioned_path_offers_choices(world: World) -> None:
    answer = world.get("/compute/servers")
    assert answer.status_code == 300
    assert [choice["id"] for choice in answer.json["choices"]] == ["v2.0", "v2.1"]


def test_a_project_in_the_path_shows_in_the_links(world: World) -> None:
    server_id = world.boot()
    answer = world.get(f"/{PROJECT}/servers/{server_id}")
    hrefs = [link["href"] for link in answer.json["server"]["links"]]
    assert hrefs == [
        f"http://cloud.test/compute/v2.1/{PROJECT}/servers/{server_id}",
        f"http://cloud.test/compute/{PROJECT}/servers/{server_id}",
    ]


def test_another_project_in_the_path_is_400(world: World) -> None:
    answer = world.get(f"/{OTHER}/servers")
    refused(answer, 400, "badRequest", "Malformed request URL")
    assert OTHER in answer.text
    assert PROJECT in answer.text


def test_legacy_v2_ignores_what_it_does_not_know(world: World) -> None:
    body = {"name": "old", "imageRef": world.image_id, "flavorRef": "m1.tiny", "surprise": 1}
    answer = world.post("/compute/v2/servers", {"server": body}, version="2.90")
    assert answer.status_code == 202
    assert "openstack-api-version" not in answer.headers
    refused(world.post("/servers", {"server": body}), 400, "badRequest", "surprise")
