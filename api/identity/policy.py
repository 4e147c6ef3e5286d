"""Who may do what with identities: Keystone's rules with their defaults, as one table.

Each rule is a list of checks, one of which must hold. The letters are those of Keystone's
policy reference: admin in any scope; reader on the system; reader or manager of the target's
domain (by a token for that domain); the user itself; a token for that project.
"""

from __future__ import annotations

from collections.abc import Callable

import falcon
import msgspec

from api.caller import Caller


class Target(msgspec.Struct, frozen=True):
    """What is acted on: its domain, the user that it is or belongs to, the project that it is."""

    domain_id: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    role: str = ""
    """Name of the role that is granted or revoked."""


Check = Callable[[Caller, Target], bool]

DOMAIN_MANAGER_ROLES = frozenset({"manager", "member", "reader"})
"""Roles that a domain's manager may give; Keystone's ``domain_managed_target_role``."""


def admin(caller: Caller, target: Target) -> bool:
    """The role admin, in any scope."""
    return caller.is_admin


def service(caller: Caller, target: Target) -> bool:
    """The role service, in any scope."""
    return caller.is_service


def system_reader(caller: Caller, target: Target) -> bool:
    """The role reader on the system."""
    return caller.system and "reader" in caller.roles


def domain_reader(caller: Caller, target: Target) -> bool:
    """The role reader on the target's domain."""
    return _on_domain(caller, target, "reader")


def domain_manager(caller: Caller, target: Target) -> bool:
    """The role manager on the target's domain."""
    return _on_domain(caller, target, "manager")


def domain_granter(caller: Caller, target: Target) -> bool:
    """A domain's manager, for roles that are not above it."""
    return domain_manager(caller, target) and target.role in DOMAIN_MANAGER_ROLES


def any_domain_manager(caller: Caller, target: Target) -> bool:
    """The role manager on whatever domain."""
    return caller.domain_id is not None and "manager" in caller.roles


def domain_token(caller: Caller, target: Target) -> bool:
    """A token for that domain."""
    return caller.domain_id is not None and caller.domain_id == target.domain_id


def project_token(caller: Caller, target: Target) -> bool:
    """A token for that project."""
    return caller.project_id is not None and caller.project_id == target.project_id


def owner(caller: Caller, target: Target) -> bool:
    """The user itself."""
    return caller.user_id == target.user_id


def anyone(caller: Caller, target: Target) -> bool:
    """Every valid token."""
    return True


def _on_domain(caller: Caller, target: Target, role: str) -> bool:
    return (
        caller.domain_id is not None
        and caller.domain_id == target.domain_id
        and role in caller.roles
    )


READ = (admin, system_reader, domain_reader)
WRITE = (admin, domain_manager)

RULES: dict[str, tuple[Check, ...]] = {
    "validate_token": (admin, service, system_reader, owner),
    "check_token": (admin, system_reader, owner),
    "revoke_token": (admin, owner),
    "list_domains": READ,
    "get_domain": (*READ, domain_token),
    "create_domain": (admin,),
    "update_domain": (admin,),
    "delete_domain": (admin,),
    "list_projects": READ,
    "get_project": (*READ, project_token),
    "list_user_projects": (*READ, owner),
    "create_project": WRITE,
    "update_project": WRITE,
    "delete_project": WRITE,
    "list_project_tags": (*READ, project_token),
    "update_project_tags": WRITE,
    "list_users": READ,
    "get_user": (*READ, owner),
    "create_user": WRITE,
    "update_user": WRITE,
    "delete_user": WRITE,
    "list_groups": READ,
    "get_group": READ,
    "list_groups_for_user": (*READ, owner),
    "create_group": WRITE,
    "update_group": WRITE,
    "delete_group": WRITE,
    "list_users_in_group": READ,
    "add_user_to_group": WRITE,
    "remove_user_from_group": WRITE,
    "list_roles": (admin, system_reader, any_domain_manager),
    "get_role": (admin, system_reader, any_domain_manager),
    "create_role": (admin,),
    "update_role": (admin,),
    "delete_role": (admin,),
    "list_role_inference_rules": (admin, system_reader),
    "create_implied_role": (admin,),
    "delete_implied_role": (admin,),
    "list_grants": READ,
    "create_grant": (admin, domain_granter),
    "revoke_grant": (admin, domain_granter),
    "list_system_grants": (admin, system_reader),
    "create_system_grant": (admin,),
    "revoke_system_grant": (admin,),
    "list_role_assignments": READ,
    "list_services": (admin, system_reader),
    "list_endpoints": (admin, system_reader),
    "list_regions": (anyone,),
    "list_application_credentials": (admin, system_reader, owner),
    "create_application_credential": (owner,),
    "delete_application_credential": (admin, owner),
}


def allowed(caller: Caller, rule: str, target: Target = Target()) -> bool:  # noqa: B008
    """Whether the caller may."""
    return any(check(caller, target) for check in RULES[rule])


def authorize(caller: Caller, rule: str, target: Target = Target()) -> None:  # noqa: B008
    """Raises 403, in Keystone's words, when the caller may not."""
    if not allowed(caller, rule, target):
        raise falcon.HTTPForbidden(
            description=f"You are not authorized to perform the requested action: identity:{rule}."
        )
