"""Grants: roles of users and groups on projects, domains and the system.

One resource serves the twelve routes; which kinds it is about is said when it is made.
"""

from __future__ import annotations

from typing import Any

import falcon
import msgspec
from sqlalchemy import Table

from api.identity.directory import Directory, Resource, caller_of, not_found
from api.identity.listings import answer_list
from api.identity.policy import Target, authorize
from commands.identity.application_credential import DeleteApplicationCredential
from commands.identity.assignment import GrantRole, RevokeRole
from events.identity.assignment import SYSTEM, ActorKind, TargetKind
from projections.identity.application_credentials import credentials_on
from projections.identity.assignments import assignments
from projections.identity.domains import DOMAINS
from projections.identity.groups import GROUPS
from projections.identity.listing import Match
from projections.identity.projects import PROJECTS
from projections.identity.roles import ROLES
from projections.identity.users import USERS

TARGETS: dict[TargetKind, Table] = {"project": PROJECTS, "domain": DOMAINS}
ACTORS: dict[ActorKind, Table] = {"user": USERS, "group": GROUPS}
SYSTEM_KEY = "default"


class Place(msgspec.Struct, frozen=True):
    """Whose roles on what: ids, and the domain in whose partition it is decided."""

    actor_id: str
    actor_domain_id: str
    target_id: str
    domain_id: str


class Grants(Resource):
    """All roles of someone on something, as granted: no implied ones."""

    def __init__(self, directory: Directory, target: TargetKind, actor: ActorKind) -> None:
        super().__init__(directory)
        self._target = target
        self._actor = actor

    def on_get(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        """200 with roles."""
        rule = "list_system_grants" if self._target == "system" else "list_grants"
        place = self._place(req, rule, ids)
        wanted = [Match("id", self._held(place), "among")]
        answer_list(self.directory, req, resp, "roles", ROLES, wanted)

    def _held(self, place: Place) -> list[str]:
        filters = {
            "actor": self._actor,
            "actor_id": place.actor_id,
            "target": self._target,
            "target_id": place.target_id,
        }
        return [held.role_id for held in assignments(self.directory.engine, filters)]

    def _place(self, req: falcon.Request, rule: str, ids: dict[str, str], role: str = "") -> Place:
        """What the path names. Raises 403, and 404 only to who may see all of it."""
        actor_id = ids[f"{self._actor}_id"]
        actor = self.directory.find(ACTORS[self._actor], actor_id)
        target_id = ids.get(f"{self._target}_id", SYSTEM)
        target: dict[str, Any] | None = {"id": SYSTEM, "domain_id": SYSTEM_KEY}
        if self._target != "system":
            target = self.directory.find(TARGETS[self._target], target_id)
        domain_id = target.get("domain_id", target["id"]) if target else None
        # A domain's own people act within it: on its projects, for its users.
        within = actor is not None and actor["domain_id"] == domain_id
        authorize(caller_of(req), rule, Target(domain_id=domain_id if within else None, role=role))
        if target is None:
            raise not_found(self._target, target_id)
        if actor is None:
            raise not_found(self._actor, actor_id)
        return Place(actor["id"], actor["domain_id"], target_id, str(domain_id))


class Grant(Grants):
    """One role of someone on something."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        """204, or 404 when it is not granted."""
        rule = "list_system_grants" if self._target == "system" else "list_grants"
        place = self._place(req, rule, ids)
        if ids["role_id"] not in self._held(place):
            raise not_found("role assignment", f"role {ids['role_id']}")
        resp.status = 204

    def on_put(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        """204."""
        place, command = self._change(req, "create", GrantRole, ids)
        self.directory.send(req, command, place.domain_id)
        resp.status = 204

    def on_delete(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        """204, or 404 when it is not granted."""
        place, command = self._change(req, "revoke", RevokeRole, ids)
        if command.role_id in self._held(place):
            self._end_credentials(req, place)
        self.directory.send(req, command, place.domain_id)
        resp.status = 204

    def _end_credentials(self, req: falcon.Request, place: Place) -> None:
        """End those of a user of another domain: ``RevokeRole`` is not decided where they lie."""
        if self._actor != "user" or self._target != "project":
            return
        if place.actor_domain_id == place.domain_id:
            return
        for id in credentials_on(self.directory.engine, place.actor_id, place.target_id):
            command = DeleteApplicationCredential(credential_id=id, user_id=place.actor_id)
            self.directory.send(req, command, place.actor_domain_id)

    def _change(
        self,
        req: falcon.Request,
        verb: str,
        command: type[GrantRole] | type[RevokeRole],
        ids: dict[str, str],
    ) -> tuple[Place, GrantRole | RevokeRole]:
        role = self.directory.find(ROLES, ids["role_id"])
        rule = f"{verb}_system_grant" if self._target == "system" else f"{verb}_grant"
        place = self._place(req, rule, ids, role["name"] if role else "")
        if role is None:
            raise not_found("role", ids["role_id"])
        made = command(
            role_id=role["id"],
            actor=self._actor,
            actor_id=place.actor_id,
            target=self._target,
            target_id=place.target_id,
        )
        return place, made
