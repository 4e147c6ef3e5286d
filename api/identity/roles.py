"""``/v3/roles`` and which of them imply which."""

from __future__ import annotations

from typing import Any

import falcon

from api.http.body import write_json
from api.identity.bodies import (
    IMMUTABLE,
    NAME,
    NULLABLE_ID,
    TEXT,
    Form,
    immutable_of,
    merged,
    text_of,
)
from api.identity.directory import Directory, Resource, caller_of, new_id, not_found
from api.identity.listings import Filters, answer_list, linked, matches
from api.identity.policy import authorize
from commands.identity.role import ChangeRole, CreateRole, DeleteRole, ImplyRole, StopImplyingRole
from projections.identity.domains import DOMAINS
from projections.identity.listing import Match, documents
from projections.identity.roles import ROLES, implications

PROPERTIES = {
    "name": NAME,
    "domain_id": NULLABLE_ID,
    "description": TEXT,
    "options": IMMUTABLE,
}
NEW = Form("role", PROPERTIES, required=("name",))
CHANGE = Form("role", PROPERTIES)
FILTERS: Filters = {"name": str, "domain_id": str}
KEY = "default"
"""All roles are decided in the default domain's partition."""


class Roles(Resource):
    """All roles."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Those that the query names; global ones unless it names a domain."""
        authorize(caller_of(req), "list_roles")
        wanted = matches(req, FILTERS)
        if "domain_id" not in req.params:
            wanted.append(Match("domain_id", None))
        answer_list(self.directory, req, resp, "roles", ROLES, wanted)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """201."""
        authorize(caller_of(req), "create_role")
        content = NEW.read(req, self.directory.settings.body_bytes_max)
        if content.get("domain_id"):
            self.directory.get(DOMAINS, "domain", content["domain_id"])
        command = CreateRole(
            role_id=new_id(),
            role_name=content["name"],
            domain_id=content.get("domain_id"),
            description=content.get("description"),
            immutable=bool(immutable_of(content)),
            extra=NEW.extra(content),
        )
        self.directory.send(req, command, KEY)
        made = self.directory.get(ROLES, "role", command.role_id)
        write_json(resp, {"role": linked(self.directory, "roles", made)}, 201)


class Role(Resource):
    """One role."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, role_id: str) -> None:
        """200."""
        authorize(caller_of(req), "get_role")
        found = self.directory.get(ROLES, "role", role_id)
        write_json(resp, {"role": linked(self.directory, "roles", found)})

    def on_patch(self, req: falcon.Request, resp: falcon.Response, role_id: str) -> None:
        """200."""
        authorize(caller_of(req), "update_role")
        content = CHANGE.read(req, self.directory.settings.body_bytes_max)
        old = self.directory.get(ROLES, "role", role_id)
        if content.get("domain_id") not in (None, old["domain_id"]):
            raise falcon.HTTPBadRequest(description="Update of `domain_id` is not allowed.")
        command = ChangeRole(
            role_id=role_id,
            role_name=content.get("name"),
            description=text_of(content, "description"),
            immutable=immutable_of(content),
            extra=merged(old, {*PROPERTIES, "id"}, CHANGE.extra(content)),
        )
        self.directory.send(req, command, KEY)
        found = self.directory.get(ROLES, "role", role_id)
        write_json(resp, {"role": linked(self.directory, "roles", found)})

    def on_delete(self, req: falcon.Request, resp: falcon.Response, role_id: str) -> None:
        """204; nobody has it any more."""
        authorize(caller_of(req), "delete_role")
        self.directory.send(req, DeleteRole(role_id=role_id), KEY)
        resp.status = 204


class ImpliedRoles(Resource):
    """What a role implies directly."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, role_id: str) -> None:
        """200."""
        authorize(caller_of(req), "list_role_inference_rules")
        prior = self.directory.get(ROLES, "role", role_id)
        implied = implications(self.directory.engine).get(role_id, ())
        body = {
            "role_inference": {
                "prior_role": _short(self.directory, prior),
                "implies": [
                    _short(self.directory, self.directory.get(ROLES, "role", id)) for id in implied
                ],
            },
            "links": {"self": f"{self.directory.url}/roles/{role_id}/implies"},
        }
        write_json(resp, body)


class ImpliedRole(Resource):
    """One implication."""

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, role_id: str, implied_id: str
    ) -> None:
        """200, or 404 when the one does not imply the other."""
        self._check(req, role_id, implied_id)
        write_json(resp, self._body(role_id, implied_id))

    def on_head(
        self, req: falcon.Request, resp: falcon.Response, role_id: str, implied_id: str
    ) -> None:
        """204, or 404."""
        self._check(req, role_id, implied_id)
        resp.status = 204

    def on_put(
        self, req: falcon.Request, resp: falcon.Response, role_id: str, implied_id: str
    ) -> None:
        """201."""
        authorize(caller_of(req), "create_implied_role")
        self.directory.send(req, ImplyRole(role_id=role_id, implied_role_id=implied_id), KEY)
        write_json(resp, self._body(role_id, implied_id), 201)

    def on_delete(
        self, req: falcon.Request, resp: falcon.Response, role_id: str, implied_id: str
    ) -> None:
        """204."""
        authorize(caller_of(req), "delete_implied_role")
        command = StopImplyingRole(role_id=role_id, implied_role_id=implied_id)
        self.directory.send(req, command, KEY)
        resp.status = 204

    def _check(self, req: falcon.Request, role_id: str, implied_id: str) -> None:
        authorize(caller_of(req), "list_role_inference_rules")
        if implied_id not in implications(self.directory.engine).get(role_id, ()):
            raise not_found("implied role", f"{role_id} does not imply {implied_id}")

    def _body(self, role_id: str, implied_id: str) -> dict[str, Any]:
        return {
            "role_inference": {
                "prior_role": _short(self.directory, self.directory.get(ROLES, "role", role_id)),
                "implies": _short(self.directory, self.directory.get(ROLES, "role", implied_id)),
            }
        }


class RoleInferences(Resource):
    """All implications."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200."""
        authorize(caller_of(req), "list_role_inference_rules")
        all_of = {role["id"]: role for role in documents(self.directory.engine, ROLES)}
        found = [
            {
                "prior_role": _short(self.directory, all_of[prior]),
                "implies": [_short(self.directory, all_of[id]) for id in implied if id in all_of],
            }
            for prior, implied in implications(self.directory.engine).items()
            if prior in all_of and implied
        ]
        links = {"self": f"{self.directory.url}/role_inferences"}
        write_json(resp, {"role_inferences": found, "links": links})


def _short(directory: Directory, role: dict[str, Any]) -> dict[str, Any]:
    return linked(directory, "roles", {"id": role["id"], "name": role["name"]})
