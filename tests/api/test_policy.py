"""Every rule of the policy table against every kind of caller."""

from __future__ import annotations

import falcon
import pytest

from api import policy
from api.caller import Caller

HERE, ELSEWHERE = "p1", "p2"
ROLES = {
    "admin": {"admin", "manager", "member", "reader"},
    "manager": {"manager", "member", "reader"},
    "member": {"member", "reader"},
    "reader": {"reader"},
    "service": {"service"},
    "none": set[str](),
}


def caller(role: str, project: str | None = HERE, **given: object) -> Caller:
    return Caller(
        user_id="u1",
        user_name="u1",
        user_domain_id="default",
        user_domain_name="Default",
        project_id=project,
        roles=frozenset(ROLES[role]),
        **given,  # type: ignore[arg-type]
    )


IN_OWN_PROJECT = {
    policy.ADMIN: {"admin"},
    policy.MANAGER: {"admin", "manager"},
    policy.MEMBER: {"admin", "manager", "member"},
    policy.READER: {"admin", "manager", "member", "reader"},
    policy.SERVICE: {"admin", "service"},
    policy.OWNER: set(ROLES),
    policy.ANYONE: set(ROLES),
    policy.NOBODY: set[str](),
}
FOR_ANOTHERS = IN_OWN_PROJECT | {
    policy.MANAGER: {"admin"},
    policy.MEMBER: {"admin"},
    policy.READER: {"admin"},
    policy.OWNER: {"admin"},
}


@pytest.mark.parametrize("rule", policy.RULES)
def test_every_rule_for_every_role(rule: str) -> None:
    check = policy.RULES[rule]
    for role in ROLES:
        own = policy.allowed(caller(role), rule, HERE, "u1")
        assert own == (role in IN_OWN_PROJECT[check]), role
        assert own == policy.allowed(caller(role), rule), "without a target, one's own is meant"
        others = policy.allowed(caller(role), rule, ELSEWHERE, "u2")
        assert others == (role in FOR_ANOTHERS[check]), role


@pytest.mark.parametrize("rule", policy.RULES)
def test_only_project_tokens_count(rule: str) -> None:
    assert not policy.allowed(caller("admin", None, system=True), rule)
    assert not policy.allowed(caller("admin", None, domain_id="default"), rule)


def test_a_refusal_names_the_rule() -> None:
    with pytest.raises(falcon.HTTPForbidden) as refusal:
        policy.enforce(caller("reader"), "os_compute_api:servers:create")
    assert refusal.value.description == (
        "Policy doesn't allow os_compute_api:servers:create to be performed."
    )


def test_the_table_is_whole() -> None:
    assert len(policy.RULES) == 203
