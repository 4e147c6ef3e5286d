"""What belongs to others is not there: it answers as an id that nothing has, to the word."""

from __future__ import annotations

import json
import re
from typing import Any

import falcon.testing
import pytest

from tests.conformance.asking import ask, routes_of
from tests.conformance.inventory import Route
from tests.conformance.samples import UNKNOWN, values
from tests.conformance.site import KEY_NAME, Site

OWNED = {
    "server_id": UNKNOWN,
    "image_id": UNKNOWN,
    "flavor_id": "no-such-flavor",
    "project_id": UNKNOWN.replace("-", ""),
    "user_id": UNKNOWN.replace("-", ""),
    "credential_id": UNKNOWN.replace("-", ""),
    "group_id": UNKNOWN.replace("-", ""),
    "domain_id": UNKNOWN.replace("-", ""),
}
"""Parameters that can name what is not the caller's, each with an id that nothing has."""

CONFINED = ("manager", "member", "reader", "service", "unscoped")
"""Callers of our project or of none, who see nothing of the other one."""

OF_THE_DOMAIN = ("domain manager", "domain reader")


def told(answer: falcon.testing.Result, *ids: str) -> tuple[int, Any]:
    """Status and body without the ids that were asked for, and without the request's own."""
    text = re.sub(r"req-[0-9a-f-]{36}", "", answer.text)
    for id in sorted({id for id in ids if id}, key=len, reverse=True):
        text = text.replace(id, "ID")
    return answer.status_code, json.loads(text) if text else None


def owned_routes(cloud: Site, services: tuple[str, ...]) -> list[Route]:
    found = [route for service in services for route in routes_of(cloud, service)]
    return [route for route in found if set(route.parameters) & set(OWNED)]


@pytest.mark.parametrize("caller", CONFINED)
def test_another_projects_ids_answer_as_unknown_ones(cloud: Site, caller: str) -> None:
    differing: list[Any] = []
    for route in owned_routes(cloud, ("compute", "image", "identity")):
        if "members" in route.path or "{domain_id}" in route.path:
            continue  # shared with us; and this project's own domain
        foreign = values(cloud, route, cloud.theirs)
        if "flavor_id" in foreign:
            foreign["flavor_id"] = "m1.secret"
        compare(cloud, caller, route, foreign, differing)
    assert differing == []


@pytest.mark.parametrize("caller", [*OF_THE_DOMAIN, *CONFINED])
def test_another_domains_ids_answer_as_unknown_ones(cloud: Site, caller: str) -> None:
    ids = cloud.ids
    far = {
        "project_id": ids["far project"],
        "user_id": ids["far user"],
        "group_id": ids["far group"],
        "domain_id": ids["domain"],
    }
    differing: list[Any] = []
    for route in owned_routes(cloud, ("identity",)):
        near = values(cloud, route, cloud.ours)
        foreign = {name: far.get(name, value) for name, value in near.items()}
        compare(cloud, caller, route, foreign, differing)
    assert differing == []


@pytest.mark.parametrize("caller", OF_THE_DOMAIN)
def test_half_of_a_path_in_another_domain(cloud: Site, caller: str) -> None:
    """Our project and their user, our group and their user, and the other way round."""
    ids = cloud.ids
    far = {
        "project_id": ids["far project"],
        "user_id": ids["far user"],
        "group_id": ids["far group"],
        "domain_id": ids["domain"],
    }
    differing: list[Any] = []
    for route in owned_routes(cloud, ("identity",)):
        names = [name for name in route.parameters if name in far]
        if len(names) < 2:
            continue
        for name in names:
            compare(cloud, caller, route, {name: far[name]}, differing)
    assert differing == []


def compare(
    cloud: Site, caller: str, route: Route, foreign: dict[str, str], differing: list[Any]
) -> None:
    """Note where what is there, but not for this caller, tells itself from what is not there."""
    nothing = {name: OWNED.get(name, value) for name, value in foreign.items()}
    seen = told(ask(cloud, caller, route, cloud.ours, foreign), *foreign.values())
    blank = told(ask(cloud, caller, route, cloud.ours, nothing), *nothing.values())
    if seen != blank:
        differing.append((route.name, seen, blank))


def test_a_key_pair_is_its_users_alone(cloud: Site) -> None:
    path = "/compute/v2.1/os-keypairs"
    for caller in ("manager", "reader", "stranger"):
        found = cloud.request(caller, "GET", f"{path}/{KEY_NAME}", version="2.10")
        has_one = cloud.callers[caller].user_id == cloud.theirs["user_id"]
        assert found.status_code == (200 if has_one else 404)
        if not has_one:
            missing = cloud.request(caller, "GET", f"{path}/no-such", version="2.10")
            assert told(found, KEY_NAME) == told(missing, "no-such")
        for user in (cloud.ours["user_id"], UNKNOWN):
            query = f"{path}/{KEY_NAME}?user_id={user}"
            for method in ("GET", "DELETE"):
                answer = cloud.request(caller, method, query, version="2.10", away=True)
                assert answer.status_code == 403, answer.text


def test_lists_hold_nothing_of_others(cloud: Site) -> None:
    secrets = [cloud.theirs[name] for name in ("server_id", "image_id", "credential_id")]
    for caller in ("manager", "member", "reader", "unscoped"):
        for service in ("compute", "image", "identity"):
            for route in routes_of(cloud, service):
                if route.method == "GET" and not route.parameters:
                    text = ask(cloud, caller, route, cloud.ours).text
                    assert not [id for id in secrets if id in text], (caller, route)


def test_filters_reach_nothing_of_others(cloud: Site) -> None:
    theirs = cloud.theirs
    queries = (
        f"project_id={theirs['project_id']}",
        f"tenant_id={theirs['project_id']}",
        f"user_id={theirs['user_id']}",
        f"uuid={theirs['server_id']}",
        f"image={theirs['public image']}",
    )
    for query in queries:
        for version in ("2.1", "2.83", "2.104"):
            path = f"/compute/v2.1/servers/detail?{query}"
            answer = cloud.request("member", "GET", path, version=version)
            assert theirs["server_id"] not in answer.text, query


def test_markers_tell_nothing_of_others(cloud: Site) -> None:
    theirs = cloud.theirs
    cases = (
        ("/compute/v2.1/servers?marker={}", theirs["server_id"], UNKNOWN),
        ("/image/v2/images?marker={}", theirs["image_id"], UNKNOWN),
        ("/compute/v2.1/flavors?marker={}", "m1.secret", "no-such-flavor"),
        (
            f"/compute/v2.1/os-simple-tenant-usage/{cloud.ours['project_id']}?marker={{}}",
            theirs["server_id"],
            UNKNOWN,
        ),
    )
    for path, foreign, unknown in cases:
        seen = cloud.request("member", "GET", path.format(foreign), version="2.104")
        blank = cloud.request("member", "GET", path.format(unknown), version="2.104")
        assert told(seen, foreign) == told(blank, unknown), path


def test_a_boot_tells_nothing_of_others(cloud: Site) -> None:
    own, theirs = cloud.ours, cloud.theirs
    server = {"name": "n", "imageRef": own["public image"], "flavorRef": "m1.tiny"}
    server["networks"] = "none"
    cases = (
        ("imageRef", theirs["image_id"], UNKNOWN),
        ("flavorRef", "m1.secret", "no-such-flavor"),
        ("key_name", "the stranger's", "no-such"),
    )
    for field, foreign, unknown in cases:
        answers = [
            cloud.request(
                "member",
                "POST",
                "/compute/v2.1/servers",
                {"server": server | {field: value}},
                "2.104",
                away=True,
            )
            for value in (foreign, unknown)
        ]
        assert told(answers[0], foreign) == told(answers[1], unknown), field
        assert answers[0].status_code == 400
