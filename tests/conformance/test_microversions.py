"""Each compute route at the edges of its microversions: there within, unknown outside."""

from __future__ import annotations

import pytest

from tests.conformance.asking import ask, nameless
from tests.conformance.inventory import COMPUTE, removed, windows
from tests.conformance.policy_table import COMPUTE_ROUTES, LATEST
from tests.conformance.site import Site

NOWHERE = "The resource could not be found."
LIVE = sorted(set(windows()) - removed())


def test_the_windows_are_novas() -> None:
    known = {route: COMPUTE_ROUTES[nameless(route)][0] for route in LIVE}
    assert {route: windows()[route] for route in LIVE} == known


@pytest.mark.parametrize("route", LIVE, ids=lambda route: route.name)
def test_a_route_is_there_in_its_window_only(cloud: Site, route: object) -> None:
    window = windows()[route]  # type: ignore[index]
    edges = {1, window.since - 1, window.since, window.until, window.until + 1, LATEST}
    for minor in sorted(edges & set(range(1, LATEST + 1))):
        answer = ask(cloud, "admin", route, cloud.ours, minor=minor)  # type: ignore[arg-type]
        assert answer.headers["openstack-api-version"] == f"compute 2.{minor}"
        assert answer.headers["x-openstack-nova-api-version"] == f"2.{minor}"
        assert "OpenStack-API-Version" in answer.headers["vary"]
        body = answer.json if answer.content and answer.status_code == 404 else {}
        unknown = body.get("itemNotFound", {}).get("message") == NOWHERE
        assert unknown is not (window.since <= minor <= window.until), (minor, answer.text)


@pytest.mark.parametrize("asked", ["2.105", "2.0", "1.1", "3.1", "9999999999.1"])
@pytest.mark.parametrize("header", ["compute {}", "image 2.0, compute {}"])
def test_what_is_beyond_is_refused_everywhere(cloud: Site, asked: str, header: str) -> None:
    for path in ("/servers", "/flavors/detail", "/no/such/thing"):
        sent = {"OpenStack-API-Version": header.format(asked)}
        answer = cloud.request("member", "GET", f"{COMPUTE}{path}", headers=sent)
        assert answer.status_code == 406, answer.text
        assert list(answer.json) == ["computeFault"]
        assert asked in answer.json["computeFault"]["message"]


@pytest.mark.parametrize("asked", ["2", "2.", ".1", "02.1", "2.01", "x", "2.1.1", "2.-1", "2 .1"])
def test_what_is_no_version_is_refused(cloud: Site, asked: str) -> None:
    for name, value in (
        ("OpenStack-API-Version", f"compute {asked}"),
        ("X-OpenStack-Nova-API-Version", asked),
    ):
        answer = cloud.request("member", "GET", f"{COMPUTE}/servers", headers={name: value})
        assert answer.status_code == 400, answer.text
        assert list(answer.json) == ["badRequest"]


def test_refusals_say_the_version_too(cloud: Site) -> None:
    for caller, path, status in (
        (None, "/servers", 401),
        ("reader", "/os-services", 403),
        ("member", "/nothing", 404),
        ("member", "/servers?limit=x", 400),
    ):
        answer = cloud.request(caller, "GET", f"{COMPUTE}{path}", version="2.53")
        assert answer.status_code == status
        assert answer.headers["openstack-api-version"] == "compute 2.53"
