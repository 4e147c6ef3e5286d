"""Every list that is served has a bound: pages, or a reason why it cannot grow."""

from __future__ import annotations

from typing import Any

import pytest

from projections import pages
from tests.conformance.asking import ask, routes_of
from tests.conformance.samples import path_of, query_of, values
from tests.conformance.site import Site

BYTES = "ends after so many bytes, too"
SMALL = "a thousand rows are a MiB"
PAGES = {
    "/compute/v2.1/flavors": BYTES,
    "/compute/v2.1/flavors/detail": BYTES,
    "/compute/v2.1/os-hypervisors": SMALL,
    "/compute/v2.1/os-hypervisors/detail": SMALL,
    "/compute/v2.1/os-keypairs": BYTES,
    "/compute/v2.1/os-simple-tenant-usage": SMALL,
    "/compute/v2.1/servers": SMALL,
    "/compute/v2.1/servers/detail": BYTES,
    "/compute/v2.1/servers/{}/os-instance-actions": SMALL,
    "/identity/v3/auth/domains": BYTES,
    "/identity/v3/auth/projects": BYTES,
    "/identity/v3/OS-FEDERATION/domains": BYTES,
    "/identity/v3/OS-FEDERATION/projects": BYTES,
    "/identity/v3/domains": BYTES,
    "/identity/v3/domains/{}/groups/{}/roles": BYTES,
    "/identity/v3/domains/{}/users/{}/roles": BYTES,
    "/identity/v3/groups": BYTES,
    "/identity/v3/groups/{}/users": BYTES,
    "/identity/v3/projects": BYTES,
    "/identity/v3/projects/{}/groups/{}/roles": BYTES,
    "/identity/v3/projects/{}/users/{}/roles": BYTES,
    "/identity/v3/roles": BYTES,
    "/identity/v3/system/groups/{}/roles": BYTES,
    "/identity/v3/system/users/{}/roles": BYTES,
    "/identity/v3/users": BYTES,
    "/identity/v3/users/{}/application_credentials": BYTES,
    "/identity/v3/users/{}/groups": BYTES,
    "/identity/v3/users/{}/projects": BYTES,
    "/image/v2/images": BYTES,
    "/placement/allocation_candidates": SMALL,
}
"""Lists that users make longer, or that hold all users' things, in pages of ``limit`` rows."""

FIXED = "made of the program alone"
NONE = "always empty: there are none here"
OPERATORS = "made by operators, or by their hosts"
QUOTA = "has a quota"
OTHERS = {
    "/compute": FIXED,
    "/compute/v2.1/extensions": FIXED,
    "/compute/v2.1/flavors/{}/os-flavor-access": OPERATORS,
    "/compute/v2.1/os-aggregates": OPERATORS,
    "/compute/v2.1/os-availability-zone": OPERATORS,
    "/compute/v2.1/os-availability-zone/detail": OPERATORS,
    "/compute/v2.1/os-hosts": OPERATORS,
    "/compute/v2.1/os-hosts/{}": OPERATORS,
    "/compute/v2.1/os-hypervisors/{}/search": OPERATORS,
    "/compute/v2.1/os-hypervisors/{}/servers": "for operators, up to 2.52",
    "/compute/v2.1/os-migrations": NONE,
    "/compute/v2.1/os-server-groups": NONE,
    "/compute/v2.1/os-services": OPERATORS,
    "/compute/v2.1/servers/{}/migrations": NONE,
    "/compute/v2.1/servers/{}/os-interface": NONE,
    "/compute/v2.1/servers/{}/os-security-groups": NONE,
    "/compute/v2.1/servers/{}/os-volume_attachments": NONE,
    "/compute/v2.1/servers/{}/tags": QUOTA,
    "/identity/v3/auth/catalog": FIXED,
    "/identity/v3/auth/system": FIXED,
    "/identity/v3/endpoints": FIXED,
    "/identity/v3/projects/{}/tags": QUOTA,
    "/identity/v3/regions": FIXED,
    "/identity/v3/role_assignments": OPERATORS,
    "/identity/v3/role_inferences": OPERATORS,
    "/identity/v3/services": FIXED,
    "/identity/v3/users/{}/access_rules": NONE,
    "/image": FIXED,
    "/image/{}": FIXED,
    "/image/versions": FIXED,
    "/image/v2/images/{}": QUOTA,
    "/image/v2/images/{}/members": QUOTA,
    "/image/v2/images/{}/tasks": NONE,
    "/image/v2/schemas/{}": FIXED,
    "/placement": FIXED,
    "/placement/resource_classes": OPERATORS,
    "/placement/resource_classes/{}": FIXED,
    "/placement/resource_providers": OPERATORS,
    "/placement/resource_providers/{}": FIXED,
    "/placement/resource_providers/{}/aggregates": OPERATORS,
    "/placement/resource_providers/{}/traits": OPERATORS,
    "/placement/traits": OPERATORS,
    "/registry/schemas/ids/{}/schema": FIXED,
    "/registry/schemas/ids/{}/subjects": FIXED,
    "/registry/schemas/ids/{}/versions": FIXED,
    "/registry/schemas/types": FIXED,
    "/registry/subjects": FIXED,
    "/registry/subjects/{}/versions": FIXED,
    "/registry/subjects/{}/versions/{}/referencedby": NONE,
    "/registry/subjects/{}/versions/{}/schema": FIXED,
}
"""Lists without pages, and why they stay short. Tenants make none of them long."""


def lists_in(body: Any) -> list[list[Any]]:
    if isinstance(body, list):
        return [body]
    values = body.values() if isinstance(body, dict) else ()
    return [value for value in values if isinstance(value, list)]


def served(site: Site) -> set[str]:
    """The paths that answer with a list."""
    found = set()
    for service in ("compute", "identity", "image", "placement", "registry"):
        for route in routes_of(site, service):
            if route.method == "GET":
                answer = ask(site, "root", route, site.ours)
                kind = answer.headers.get("content-type", "")
                if answer.status_code < 400 and "json" in kind and lists_in(answer.json):
                    found.add(route.shape)
    return found


def test_every_list_is_known(cloud: Site) -> None:
    assert served(cloud) == PAGES.keys() | OTHERS.keys()


def page(site: Site, shape: str, limit: int | None = None) -> Any:
    """The body of a good answer."""
    (route,) = [
        route
        for route in routes_of(site, shape.split("/")[1])
        if route.shape == shape and route.method == "GET"
    ]
    query = query_of(site, route, site.ours)
    if limit is not None:
        query += f"{'&' if query else '?'}limit={limit}"
    return site.must("root", "GET", path_of(route, values(site, route, site.ours)) + query)


def rows(body: Any) -> int:
    return max(map(len, (found for found in lists_in(body) if not is_links(found))))


def is_links(found: list[Any]) -> bool:
    return bool(found) and isinstance(found[0], dict) and found[0].get("rel") == "next"


@pytest.mark.parametrize("shape", PAGES)
def test_a_page_has_as_many_rows_as_asked_for(cloud: Site, shape: str) -> None:
    whole, one = page(cloud, shape), page(cloud, shape, 1)
    assert rows(one) == min(1, rows(whole))


@pytest.mark.parametrize("shape", [shape for shape, how in PAGES.items() if how == BYTES])
def test_a_page_has_so_many_bytes(cloud: Site, shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expected failure: all rows in one answer, however long they are."""
    whole = page(cloud, shape)
    monkeypatch.setattr(pages, "PAGE_BYTES", 1)
    monkeypatch.setattr("api.image.images.PAGE_BYTES", 1)
    cut = page(cloud, shape)
    assert rows(cut) == min(1, rows(whole))
    if rows(whole) > 1:
        assert "next" in str(cut).replace("'next': None", ""), "it says that there are more"
