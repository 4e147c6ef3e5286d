"""Every route for every kind of caller: let in exactly as the tables of facts say."""

from __future__ import annotations

import pytest

from api import policy
from tests.conformance.asking import (
    FOR_HOSTS,
    ask,
    expected,
    fact,
    nameless,
    routes_of,
    sides,
)
from tests.conformance.inventory import COMPUTE, Route, removed, windows
from tests.conformance.policy_others import IDENTITY_ROUTES, IMAGE_ROUTES
from tests.conformance.policy_table import COMPUTE_ROUTES, HOLDERS
from tests.conformance.samples import NOTHING_THERE
from tests.conformance.site import PEOPLE, Site

SERVICES = ("identity", "compute", "image", "placement", "registry")
OWN_WORDS = {
    # Known users' passwords, and tokens, are asked for in the body: 401, whoever asks.
    "POST /identity/v3/users/{user_id}/password": {401},
    "POST /identity/v3/auth/tokens": {400},
    # A token for a project makes the credential; this one is for the system or a domain.
    "POST /identity/v3/users/{user_id}/application_credentials": {400},
    "PUT /compute/v2.1/os-quota-class-sets/{quota_class}": {400},
    "GET /image/v2": {404},
    "POST /compute/v2.1/host-secrets": {400},
    "POST /compute/v2.1/host-report-keys": {400},
    "GET /image/v2/direct/{sha512}": {403},
}
"""What a good request may be answered all the same, and why."""


def test_the_tables_of_facts_know_every_route(cloud: Site) -> None:
    known = {*COMPUTE_ROUTES, *IDENTITY_ROUTES, *IMAGE_ROUTES}
    documents = {f"{COMPUTE}", "/compute", "/compute/v2", *FOR_HOSTS}
    for service in ("compute", "identity", "image"):
        live = {fact(route) for route in routes_of(cloud, service)}
        live = {route for route in live if route.path not in documents}
        assert live - known == set()
    assert set(IDENTITY_ROUTES) == {fact(route) for route in routes_of(cloud, "identity")}
    assert set(IMAGE_ROUTES) == {nameless(route) for route in routes_of(cloud, "image")}


def test_compute_has_the_rules_and_no_others() -> None:
    checks = {
        "admin": policy.ADMIN,
        "manager": policy.MANAGER,
        "member": policy.MEMBER,
        "reader": policy.READER,
        "service": policy.SERVICE,
        "owner": policy.OWNER,
        "anyone": policy.ANYONE,
        "nobody": policy.NOBODY,
    }
    assert {rule: checks[holder] for rule, holder in HOLDERS.items()} == policy.RULES


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("caller", [*PEOPLE, "root"])
def test_every_route_lets_in_whom_it_should(cloud: Site, service: str, caller: str) -> None:
    wrong = []
    before = len(cloud.bus.commands)
    for route in routes_of(cloud, service):
        for own in sides(cloud, route):
            answer = ask(cloud, caller, route, own)
            wanted = expected(cloud, caller, route, own)
            if not fits(route, answer.status_code, wanted):
                side = "ours" if own is cloud.ours else "theirs"
                wrong.append((route.name, side, wanted, answer.status_code, answer.text[:160]))
    assert wrong == []
    assert len(cloud.bus.commands) == before


def fits(route: Route, status: int, wanted: int) -> bool:
    """Whether an answer is the refusal that was wanted, or, for whoever may, none."""
    if wanted != 200:
        return status == wanted
    if status in OWN_WORDS.get(route.name, ()) or (status == 404 and route.shape in NOTHING_THERE):
        return True
    return status not in (400, 401, 403, 404, 500)


@pytest.mark.parametrize("service", SERVICES)
def test_without_a_token_only_what_is_public(cloud: Site, service: str) -> None:
    wrong = []
    for route in routes_of(cloud, service):
        for token in (None, "", "no such token"):
            status = ask(cloud, token, route, cloud.ours).status_code
            if is_public(route) and status == 401 and "password" not in route.path:
                wrong.append((route.name, status))
            if not is_public(route) and status != 401:
                wrong.append((route.name, status))
    assert wrong == []


def is_public(route: Route) -> bool:
    """Whether a route needs no token."""
    if route.shape in FOR_HOSTS:
        return True
    documents = ("/compute", "/compute/v2", "/compute/v2.1", "/placement")
    if route.path in documents or route.service == "registry":
        return True
    table = IDENTITY_ROUTES if route.service == "identity" else IMAGE_ROUTES
    return "public" in table.get(fact(route), ())


def test_what_is_gone_is_gone_for_everyone_with_a_token(cloud: Site) -> None:
    for route in removed():
        window = windows()[route]
        for minor in (window.since, window.until):
            path = route.path.replace("{", "").replace("}", "")
            answer = cloud.request("reader", route.method, path, version=f"2.{minor}", away=True)
            assert answer.status_code == 410, (route, answer.text)
            assert list(answer.json) == ["computeFault"]
