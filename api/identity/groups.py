"""``/v3/groups`` and their members."""

from __future__ import annotations

from typing import Any

import falcon

from api.http.body import write_json
from api.identity.bodies import NAME, NULLABLE_ID, TEXT, Form, merged, text_of
from api.identity.directory import Directory, Resource, caller_of, new_id, not_found
from api.identity.listings import Filters, answer_list, flag, linked, matches
from api.identity.policy import Target, allowed, authorize
from commands.identity.group import (
    AddUserToGroup,
    ChangeGroup,
    CreateGroup,
    DeleteGroup,
    RemoveUserFromGroup,
)
from projections.identity.domains import DOMAINS
from projections.identity.groups import GROUPS, members_of
from projections.identity.listing import Match
from projections.identity.users import USERS

PROPERTIES = {"name": NAME, "domain_id": NULLABLE_ID, "description": TEXT}
NEW = Form("group", PROPERTIES, required=("name",))
CHANGE = Form("group", PROPERTIES)
FILTERS: Filters = {"name": str, "domain_id": str}


class Groups(Resource):
    """All groups."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Those that the query names; for a domain's reader, those of that domain."""
        caller = caller_of(req)
        asked = req.get_param("domain_id") or caller.domain_id
        authorize(caller, "list_groups", Target(domain_id=asked))
        wanted = matches(req, FILTERS)
        if not allowed(caller, "list_groups"):
            wanted.append(Match("domain_id", caller.domain_id))
        answer_list(self.directory, req, resp, "groups", GROUPS, wanted)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """201."""
        content = NEW.read(req, self.directory.settings.body_bytes_max)
        domain_id = self.directory.domain_for(caller_of(req), content)
        authorize(caller_of(req), "create_group", Target(domain_id=domain_id))
        self.directory.get(DOMAINS, "domain", domain_id)
        command = CreateGroup(
            group_id=new_id(),
            domain_id=domain_id,
            group_name=content["name"],
            description=content.get("description"),
            extra=NEW.extra(content),
        )
        self.directory.send(req, command, domain_id)
        made = self.directory.get(GROUPS, "group", command.group_id)
        write_json(resp, {"group": linked(self.directory, "groups", made)}, 201)


class Group(Resource):
    """One group."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, group_id: str) -> None:
        """200."""
        found = group_for(self.directory, req, "get_group", group_id)
        write_json(resp, {"group": linked(self.directory, "groups", found)})

    def on_patch(self, req: falcon.Request, resp: falcon.Response, group_id: str) -> None:
        """200."""
        old = group_for(self.directory, req, "update_group", group_id)
        content = CHANGE.read(req, self.directory.settings.body_bytes_max)
        if content.get("domain_id") not in (None, old["domain_id"]):
            raise falcon.HTTPBadRequest(description="Update of `domain_id` is not allowed.")
        command = ChangeGroup(
            group_id=group_id,
            group_name=content.get("name"),
            description=text_of(content, "description"),
            extra=merged(old, {*PROPERTIES, "id"}, CHANGE.extra(content)),
        )
        self.directory.send(req, command, old["domain_id"])
        found = self.directory.get(GROUPS, "group", group_id)
        write_json(resp, {"group": linked(self.directory, "groups", found)})

    def on_delete(self, req: falcon.Request, resp: falcon.Response, group_id: str) -> None:
        """204; its grants go with it."""
        old = group_for(self.directory, req, "delete_group", group_id)
        self.directory.send(req, DeleteGroup(group_id=group_id), old["domain_id"])
        resp.status = 204


class GroupUsers(Resource):
    """The members of a group."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, group_id: str) -> None:
        """200."""
        group_for(self.directory, req, "list_users_in_group", group_id)
        members = members_of(self.directory.engine, group_id)
        wanted = matches(req, {"name": str, "enabled": flag})
        wanted.append(Match("id", members, "among"))
        answer_list(self.directory, req, resp, "users", USERS, wanted)


class GroupUser(Resource):
    """One membership; GET serves HEAD, the field's way to ask whether it is there."""

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, group_id: str, user_id: str
    ) -> None:
        """204, or 404 when the user is no member."""
        self._place(req, "list_users_in_group", group_id, user_id)
        if user_id not in members_of(self.directory.engine, group_id):
            raise not_found("user in group", user_id)
        resp.status = 204

    def on_put(
        self, req: falcon.Request, resp: falcon.Response, group_id: str, user_id: str
    ) -> None:
        """204."""
        group = self._place(req, "add_user_to_group", group_id, user_id)
        self.directory.get_user(user_id)
        command = AddUserToGroup(group_id=group_id, user_id=user_id)
        self.directory.send(req, command, group["domain_id"])
        resp.status = 204

    def on_delete(
        self, req: falcon.Request, resp: falcon.Response, group_id: str, user_id: str
    ) -> None:
        """204."""
        group = self._place(req, "remove_user_from_group", group_id, user_id)
        command = RemoveUserFromGroup(group_id=group_id, user_id=user_id)
        self.directory.send(req, command, group["domain_id"])
        resp.status = 204

    def _place(self, req: falcon.Request, rule: str, group_id: str, user_id: str) -> dict[str, Any]:
        """The group, if the caller may: a domain's own people only with users of that domain.
        Raises 403, and 404 only to who may see all groups."""
        found = self.directory.find(GROUPS, group_id)
        user = self.directory.find_user(user_id)
        domain_id = found["domain_id"] if found else None
        within = user is not None and user["domain_id"] == domain_id
        authorize(caller_of(req), rule, Target(domain_id=domain_id if within else None))
        if found is None:
            raise not_found("group", group_id)
        return found


def group_for(
    directory: Directory, req: falcon.Request, rule: str, group_id: str
) -> dict[str, Any]:
    """The group, if the caller may. Raises 403, and 404 only to who may see all of them."""
    found = directory.find(GROUPS, group_id)
    target = Target(domain_id=found["domain_id"] if found else None)
    authorize(caller_of(req), rule, target)
    if found is None:
        raise not_found("group", group_id)
    return found
