"""Good requests to every route, and who ought to be allowed them by the tables of facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import falcon.testing

from api.caller import Caller
from tests.conformance.inventory import COMPUTE, Route, removed, routes, windows
from tests.conformance.policy_others import IDENTITY_ROUTES, IMAGE_ROUTES
from tests.conformance.policy_table import COMPUTE_ROUTES, HOLDERS, NO_RULE
from tests.conformance.samples import body_of, headers_of, path_of, query_of, values
from tests.conformance.site import Site

ROLES_ABOVE: Mapping[str, frozenset[str]] = {
    "reader": frozenset({"reader", "admin"}),
    "member": frozenset({"member", "admin"}),
    "manager": frozenset({"manager", "admin"}),
}


def nameless(route: Route) -> Route:
    """The route as the tables of facts write it."""
    return Route(route.shape, route.method, route.action)


def ask(
    site: Site,
    caller: str | None,
    route: Route,
    own: Mapping[str, str],
    changed: Mapping[str, str] | None = None,
    minor: int | None = None,
) -> falcon.testing.Result:
    """A good request to ``route`` about ``own``'s things, with nobody there to decide: whatever is
    let through to be decided is answered 503 and leaves all as it was."""
    if minor is None:
        minor = windows()[route].until if route in windows() else 104
    given = {**values(site, route, own), **(changed or {})}
    path = path_of(route, given) + query_of(site, route, own)
    return site.request(
        caller,
        route.method,
        path,
        body_of(site, route, own, minor),
        f"2.{minor}",
        away=True,
        headers=headers_of(site, route, own),
    )


def sides(site: Site, route: Route) -> Iterator[Mapping[str, str]]:
    """The tenants whose thing the route can be about: both, or ours where it is about neither."""
    yield site.ours
    if values(site, route, site.ours) != values(site, route, site.theirs) or (
        query_of(site, route, site.ours) or headers_of(site, route, site.ours)
    ):
        yield site.theirs


FOR_HOSTS = ("/compute/v2.1/host-secrets", "/compute/v2.1/host-report-keys")
"""For hosts only, which sign: a caller's token counts for nothing."""


def routes_of(site: Site, service: str) -> Iterator[Route]:
    """The routes of one service that are not gone for good."""
    gone = removed()
    for route in routes(site.app):
        if route.service == service and route not in gone:
            yield route


def expected(site: Site, caller: str, route: Route, own: Mapping[str, str]) -> int:
    """200 for whoever may, else the status of the refusal."""
    who = site.callers[caller]
    if route.shape in FOR_HOSTS:
        return 200
    if route.service == "compute":
        return _compute(who, route, own)
    if route.service == "identity":
        return _identity(who, route, own)
    if route.service == "image":
        return _image(site, who, route, own)
    if route.service == "placement" and route.shape != "/placement":
        if route.shape == "/placement/usages" and who.project_id == own["project_id"]:
            return 200 if {"reader", "service"} & who.roles else 403
        in_project = who.project_id is not None
        return 200 if in_project and {"admin", "service"} & who.roles else 403
    return 200


def holds(who: Caller, holder: str, project_id: str | None, user_id: str | None) -> bool:
    """Whether the caller holds a rule of the compute API for that owner's thing."""
    if who.system or who.domain_id is not None or holder == "nobody":
        return False
    if holder == "anyone" or "admin" in who.roles:
        return True
    if holder in ("admin", "service"):
        return holder in who.roles
    if holder == "owner":
        return who.user_id == user_id
    return bool(ROLES_ABOVE[holder] & who.roles) and who.project_id == project_id


def _compute(who: Caller, route: Route, own: Mapping[str, str]) -> int:
    if nameless(route) not in COMPUTE_ROUTES:
        return 200  # version documents
    rule = COMPUTE_ROUTES[nameless(route)][1]
    about_server = route.path.startswith(f"{COMPUTE}/servers/{{")
    if about_server and who.project_id != own["project_id"] and "admin" not in who.roles:
        return 404
    if rule == NO_RULE:
        return 200
    owned = about_server or "{project_id}" in route.path
    project = own["project_id"] if owned else who.project_id
    return 200 if holds(who, HOLDERS[rule], project, own["user_id"]) else 403


def _identity(who: Caller, route: Route, own: Mapping[str, str]) -> int:
    # Everything of ``own`` lies in the default domain.
    grounds = {
        "A": "admin" in who.roles,
        "S": "service" in who.roles,
        "SR": who.system and "reader" in who.roles,
        "DR": who.domain_id == "default" and "reader" in who.roles,
        "DM": who.domain_id == "default" and "manager" in who.roles,
        "DT": who.domain_id == "default",
        "XM": who.domain_id is not None and "manager" in who.roles,
        "PT": who.project_id == own["project_id"],
        "own": who.user_id == own["user_id"],
        "scoped": not who.unscoped,
        "any": True,
        "public": True,
    }
    return 200 if any(grounds[letter] for letter in IDENTITY_ROUTES[fact(route)]) else 403


def fact(route: Route) -> Route:
    """The identity route's line: HEAD is GET, but where it has its own."""
    own = nameless(route)
    if own.method == "HEAD" and own not in IDENTITY_ROUTES:
        return Route(own.path, "GET")
    return own


def _image(site: Site, who: Caller, route: Route, own: Mapping[str, str]) -> int:
    (letter,) = IMAGE_ROUTES[nameless(route)]
    if letter in ("public", "any"):
        return 200
    admin = "admin" in who.roles and who.project_id is not None
    member = who.project_id is not None and "member" in who.roles
    if route.shape == "/image/v2/images":
        return 200 if member or admin else 403
    partner = site.partner(own)["project_id"]
    seen_by = {own["project_id"], partner} if "/members" in route.path else {own["project_id"]}
    if not admin and who.project_id not in seen_by:
        return 404
    if letter == "visible" or admin:
        return 200
    owner = partner if letter == "answer" else own["project_id"]
    return 200 if member and who.project_id == owner else 403
