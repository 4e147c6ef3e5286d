"""Microversions, errors, who may, and that nothing is written here."""

from __future__ import annotations

import uuid

import pytest

from tests.api.placement.conftest import Placement

ID = str(uuid.uuid4())


def test_the_version_document_needs_no_token(placement: Placement) -> None:
    answer = placement.request("GET", "", version=None, token=None)
    (version,) = answer.json["versions"]
    assert (version["min_version"], version["max_version"]) == ("1.0", "1.39")
    assert (version["id"], version["status"]) == ("v1.0", "CURRENT")
    assert placement.request("GET", "/", token=None).status_code == 200


@pytest.mark.parametrize(
    ("asked", "answered"),
    [(None, "1.0"), ("1.0", "1.0"), ("1.28", "1.28"), ("latest", "1.39")],
)
def test_negotiation(placement: Placement, asked: str | None, answered: str) -> None:
    answer = placement.request("GET", "/resource_providers", version=asked)
    assert answer.headers["openstack-api-version"] == f"placement {answered}"
    assert answer.headers["vary"] == "openstack-api-version"
    dated = answered not in ("1.0",)
    assert ("last-modified" in answer.headers) == dated
    assert (answer.headers.get("cache-control") == "no-cache") == dated


@pytest.mark.parametrize("asked", ["1.40", "2.0", "0.9"])
def test_versions_out_of_range(placement: Placement, asked: str) -> None:
    answer = placement.request("GET", "", version=asked, token=None)
    assert answer.status_code == 406
    (error,) = answer.json["errors"]
    assert (error["min_version"], error["max_version"]) == ("1.0", "1.39")


@pytest.mark.parametrize("asked", ["1", "x", "1.x", "-1.0"])
def test_no_versions(placement: Placement, asked: str) -> None:
    assert placement.request("GET", "", version=asked, token=None).status_code == 400


def test_errors(placement: Placement) -> None:
    answer = placement.request("GET", f"/resource_providers/{ID}", version="1.22")
    (error,) = answer.json["errors"]
    assert set(error) == {"status", "title", "detail", "request_id"}
    assert error["request_id"] == answer.headers["x-openstack-request-id"]
    answer = placement.request("GET", f"/resource_providers/{ID}", version="1.23")
    assert answer.json["errors"][0]["code"] == "placement.undefined_code"
    answer = placement.request("GET", "/resource_providers?name=a&name=b")
    assert answer.json["errors"][0]["code"] == "placement.query.duplicate_key"
    assert placement.request("GET", "/teapots").status_code == 404
    assert placement.request("GET", "/resource_providers/%00").status_code == 404


def test_no_token(placement: Placement) -> None:
    answer = placement.request("GET", "/resource_providers", token=None)
    assert answer.status_code == 401
    assert set(answer.json) == {"message", "code", "title"}


PATHS = (
    "/resource_providers",
    f"/resource_providers/{ID}/inventories",
    f"/allocations/{ID}",
    "/resource_classes",
    "/traits",
    "/allocation_candidates?resources=VCPU:1",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("token", ["member", "reader", "system"])
def test_only_for_admins_and_services(placement: Placement, path: str, token: str) -> None:
    answer = placement.request("GET", path, token=token)
    assert answer.status_code == 403
    assert "Policy doesn't allow" in answer.json["errors"][0]["detail"]
    assert placement.request("GET", path, token="service").status_code in (200, 404)


@pytest.mark.parametrize(
    ("method", "path", "who"),
    [
        ("POST", "/resource_providers", "compute hosts"),
        ("PUT", f"/resource_providers/{ID}", "compute hosts"),
        ("DELETE", f"/resource_providers/{ID}", "compute hosts"),
        ("PUT", f"/resource_providers/{ID}/inventories", "agent"),
        ("POST", f"/resource_providers/{ID}/inventories", "agent"),
        ("DELETE", f"/resource_providers/{ID}/inventories/VCPU", "agent"),
        ("PUT", f"/resource_providers/{ID}/traits", "agent"),
        ("PUT", f"/resource_providers/{ID}/aggregates", "host aggregates"),
        ("PUT", f"/allocations/{ID}", "scheduler alone"),
        ("DELETE", f"/allocations/{ID}", "scheduler alone"),
        ("POST", "/allocations", "scheduler alone"),
        ("POST", "/reshaper", "scheduler alone"),
        ("POST", "/resource_classes", "reports"),
        ("PUT", "/traits/CUSTOM_A", "reports"),
    ],
)
def test_writes_are_refused(placement: Placement, method: str, path: str, who: str) -> None:
    before = len(placement.world.bus.commands)
    answer = placement.request(method, path)
    assert answer.status_code == 405
    assert who in answer.json["errors"][0]["detail"]
    writes_only = path in ("/allocations", "/reshaper")
    assert answer.headers["allow"] == ("" if writes_only else "GET")
    assert placement.request(method, path, token="member").status_code == 403
    assert len(placement.world.bus.commands) == before


def test_a_method_that_nobody_has(placement: Placement) -> None:
    answer = placement.request("PATCH", "/resource_providers")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]
