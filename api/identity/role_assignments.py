"""``GET /v3/role_assignments``: who has which role on what, filtered, perhaps worked out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import falcon
import msgspec

from api.http.body import write_json
from api.identity.directory import Directory, Resource, caller_of
from api.identity.listings import present
from api.identity.policy import Target, allowed, authorize
from projections.identity.assignments import Held, assignments
from projections.identity.domains import DOMAINS
from projections.identity.listing import documents
from projections.identity.roles import ROLES, implications
from projections.identity.users import USERS

Item = dict[str, Any]

SCOPES = {
    "scope.project.id": ("project", "target_id"),
    "scope.domain.id": ("domain", "target_id"),
}


class RoleAssignments(Resource):
    """All role assignments."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200; ``effective`` works groups and implied roles out, ``include_names`` names all."""
        caller = caller_of(req)
        authorize(caller, "list_role_assignments", Target(domain_id=caller.domain_id))
        effective = present(req, "effective")
        filters = _filters(req, effective)
        if not allowed(caller, "list_role_assignments"):
            filters["target_domain_id"] = str(caller.domain_id)
        found: Iterable[Held] = assignments(self.directory.engine, filters)
        if present(req, "scope.OS-INHERIT:inherited_to"):
            found = []
        if effective:
            found = _effective(self.directory, found)
            found = [held for held in found if _wanted(req, held)]
        names = present(req, "include_names")
        items = [_item(self.directory, held, names) for held in found]
        links = {"next": None, "self": f"{self.directory.url}/role_assignments", "previous": None}
        write_json(resp, {"role_assignments": items, "links": links})


def _filters(req: falcon.Request, effective: bool) -> dict[str, str]:
    """What the database filters by. Raises 400 for what contradicts itself."""
    filters: dict[str, str] = {}
    user_id, group_id = req.get_param("user.id"), req.get_param("group.id")
    if (user_id and group_id) or (effective and group_id):
        raise falcon.HTTPBadRequest(
            description="Specify a user or group, not both; effective assignments have no groups."
        )
    if user_id:
        filters |= {"user_id": user_id} if effective else {"actor": "user", "actor_id": user_id}
    if group_id:
        filters |= {"actor": "group", "actor_id": group_id}
    if not effective and req.get_param("role.id"):
        filters["role_id"] = req.get_param("role.id") or ""
    named = [parameter for parameter in (*SCOPES, "scope.system") if req.get_param(parameter)]
    if len(named) > 1:
        raise falcon.HTTPBadRequest(description="Specify a domain, project, or system, not more.")
    for parameter in named:
        kind, field = SCOPES.get(parameter, ("system", ""))
        filters["target"] = kind
        if field:
            filters[field] = req.get_param(parameter) or ""
    return filters


def _effective(directory: Directory, found: Iterable[Held]) -> Iterator[Held]:
    """Each user's global roles: groups become their members, roles bring those they imply."""
    implied = implications(directory.engine)
    roles = documents(directory.engine, ROLES)
    role_names = {role["id"]: role["name"] for role in roles if role["domain_id"] is None}
    found = list(found)
    users: dict[str, Item] = {}
    domains: dict[str, str] = {}
    if any(held.actor == "group" for held in found):
        users = {user["id"]: user for user in documents(directory.engine, USERS)}
        domains = {domain["id"]: domain["name"] for domain in documents(directory.engine, DOMAINS)}
    seen = set()
    for held in found:
        for user in _users(held, users, domains):
            for role_id in _with_implied(held.role_id, implied):
                key = (user.actor_id, role_id, held.target, held.target_id)
                if key in seen or role_id not in role_names:
                    continue
                seen.add(key)
                yield msgspec.structs.replace(user, role_id=role_id, role_name=role_names[role_id])


def _users(held: Held, users: dict[str, Item], domains: dict[str, str]) -> Iterator[Held]:
    """The assignment as that of each user that has it."""
    if held.actor == "user":
        yield held
        return
    for user in (users[id] for id in held.members if id in users):
        yield msgspec.structs.replace(
            held,
            actor="user",
            actor_id=user["id"],
            actor_name=user["name"],
            actor_domain_id=user["domain_id"],
            actor_domain_name=domains.get(user["domain_id"], ""),
        )


def _with_implied(role_id: str, implied: dict[str, list[str]]) -> Iterator[str]:
    waiting, reached = [role_id], {role_id}
    while waiting:
        id = waiting.pop()
        yield id
        new = [other for other in implied.get(id, ()) if other not in reached]
        reached.update(new)
        waiting += new


def _wanted(req: falcon.Request, held: Held) -> bool:
    """Whether a worked-out assignment is one that the query names."""
    user_id, role_id = req.get_param("user.id"), req.get_param("role.id")
    return (not user_id or held.actor_id == user_id) and (not role_id or held.role_id == role_id)


def _item(directory: Directory, held: Held, names: bool) -> Item:
    role: Item = {"id": held.role_id}
    actor: Item = {"id": held.actor_id}
    target: Item = {"all": True} if held.target == "system" else {"id": held.target_id}
    if names:
        role["name"] = held.role_name
        actor["name"] = held.actor_name
        actor["domain"] = {"id": held.actor_domain_id, "name": held.actor_domain_name}
        if held.target != "system":
            target["name"] = held.target_name
        if held.target == "project":
            target["domain"] = {"id": held.target_domain_id, "name": held.target_domain_name}
    where = "system" if held.target == "system" else f"{held.target}s/{held.target_id}"
    link = f"{directory.url}/{where}/{held.actor}s/{held.actor_id}/roles/{held.role_id}"
    return {
        "role": role,
        held.actor: actor,
        "scope": {held.target: target},
        "links": {"assignment": link},
    }
