"""Every rule against every kind of caller, exactly."""

from __future__ import annotations

import falcon
import pytest

from api.caller import Caller
from api.identity.policy import RULES, Target, allowed, authorize

ADMIN = frozenset({"admin", "manager", "member", "reader"})
MANAGER = frozenset({"manager", "member", "reader"})
READER = frozenset({"reader"})


def caller(user_id: str = "someone", **fields: object) -> Caller:
    return Caller(
        user_id=user_id,
        user_name=user_id,
        user_domain_id="d",
        user_domain_name="D",
        **fields,  # type: ignore[arg-type]
    )


CALLERS = {
    "project admin": caller(project_id="q", roles=ADMIN),
    "system reader": caller(system=True, roles=READER),
    "domain manager": caller(domain_id="d", roles=MANAGER),
    "domain reader": caller(domain_id="d", roles=READER),
    "other domain's manager": caller(domain_id="e", roles=MANAGER),
    "project manager": caller(project_id="p", roles=MANAGER),
    "service": caller(project_id="q", roles=frozenset({"service"})),
    "the user": caller("u", project_id="q", roles=READER),
    "unscoped": caller(),
}
TARGET = Target(domain_id="d", user_id="u", project_id="p", role="member")

READ = {"project admin", "system reader", "domain manager", "domain reader"}
WRITE = {"project admin", "domain manager"}
ADMINS = {"project admin"}
GLOBAL = {"project admin", "system reader"}

EXPECTED: dict[str, set[str]] = {
    "validate_token": {"project admin", "service", "system reader", "the user"},
    "check_token": {"project admin", "system reader", "the user"},
    "revoke_token": {"project admin", "the user"},
    "list_domains": READ,
    "get_domain": READ,
    "create_domain": ADMINS,
    "update_domain": ADMINS,
    "delete_domain": ADMINS,
    "list_projects": READ,
    "get_project": READ | {"project manager"},
    "list_user_projects": READ | {"the user"},
    "create_project": WRITE,
    "update_project": WRITE,
    "delete_project": WRITE,
    "list_project_tags": READ | {"project manager"},
    "update_project_tags": WRITE,
    "list_users": READ,
    "get_user": READ | {"the user"},
    "create_user": WRITE,
    "update_user": WRITE,
    "delete_user": WRITE,
    "list_groups": READ,
    "get_group": READ,
    "list_groups_for_user": READ | {"the user"},
    "create_group": WRITE,
    "update_group": WRITE,
    "delete_group": WRITE,
    "list_users_in_group": READ,
    "add_user_to_group": WRITE,
    "remove_user_from_group": WRITE,
    "list_roles": GLOBAL | {"domain manager", "other domain's manager"},
    "get_role": GLOBAL | {"domain manager", "other domain's manager"},
    "create_role": ADMINS,
    "update_role": ADMINS,
    "delete_role": ADMINS,
    "list_role_inference_rules": GLOBAL,
    "create_implied_role": ADMINS,
    "delete_implied_role": ADMINS,
    "list_grants": READ,
    "create_grant": WRITE,
    "revoke_grant": WRITE,
    "list_system_grants": GLOBAL,
    "create_system_grant": ADMINS,
    "revoke_system_grant": ADMINS,
    "list_role_assignments": READ,
    "list_services": GLOBAL,
    "list_endpoints": GLOBAL,
    "list_regions": set(CALLERS),
    "list_application_credentials": GLOBAL | {"the user"},
    "create_application_credential": {"the user"},
    "delete_application_credential": {"project admin", "the user"},
}


def test_every_rule_is_here() -> None:
    assert set(EXPECTED) == set(RULES)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_rule_lets_in_whom_it_should(rule: str) -> None:
    assert {name for name, who in CALLERS.items() if allowed(who, rule, TARGET)} == EXPECTED[rule]


@pytest.mark.parametrize("rule", sorted(RULES))
def test_nothing_in_common_is_no_ground(rule: str) -> None:
    everywhere = {
        "domain manager",
        "domain reader",
        "other domain's manager",
        "project manager",
        "the user",
        "unscoped",
    }
    let_in = {name for name in everywhere if allowed(CALLERS[name], rule, Target())}
    managers = {"domain manager", "other domain's manager"}
    assert let_in == {"list_regions": everywhere, "list_roles": managers}.get(
        rule, managers if rule == "get_role" else set()
    )


def test_a_domains_manager_grants_nothing_above_itself() -> None:
    manager = CALLERS["domain manager"]
    for role, may in (("reader", True), ("manager", True), ("admin", False), ("", False)):
        assert allowed(manager, "create_grant", Target(domain_id="d", role=role)) is may


def test_a_refusal_names_the_rule() -> None:
    with pytest.raises(falcon.HTTPForbidden) as refusal:
        authorize(CALLERS["unscoped"], "list_users")
    assert refusal.value.description is not None
    assert refusal.value.description.endswith("identity:list_users.")
