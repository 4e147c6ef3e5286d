"""``/v3/users``, a user's groups, and the own password."""

from __future__ import annotations

from typing import Any

import falcon
import orjson

from api.http.body import write_json
from api.identity.bodies import FLAG, NAME, NULLABLE_ID, PASSWORD, TEXT, Form, merged, text_of
from api.identity.directory import Directory, Resource, caller_of, new_id, not_found
from api.identity.listings import Filters, answer_list, flag, linked, matches
from api.identity.login import Logins
from api.identity.policy import Target, allowed, authorize
from commands.identity.password import ChangePassword
from commands.identity.rules import Map
from commands.identity.user import ChangeUser, CreateUser, DeleteUser
from projections.identity.accounts import Named, account
from projections.identity.domains import DOMAINS
from projections.identity.groups import GROUPS
from projections.identity.listing import Match
from projections.identity.users import USERS

PROPERTIES = {
    "name": NAME,
    "password": PASSWORD,
    "domain_id": NULLABLE_ID,
    "default_project_id": NULLABLE_ID,
    "description": TEXT,
    "enabled": FLAG,
    "options": {
        "type": "object",
        "properties": {
            "ignore_change_password_upon_first_use": {"type": ["boolean", "null"]},
            "ignore_password_expiry": {"type": ["boolean", "null"]},
            "ignore_lockout_failure_attempts": {"type": ["boolean", "null"]},
            "ignore_user_inactivity": {"type": ["boolean", "null"]},
            "lock_password": {"type": ["boolean", "null"]},
            # A second factor that is not asked for would be a promise not kept.
            "multi_factor_auth_enabled": {"enum": [False, None]},
            "multi_factor_auth_rules": {"type": ["array", "null"], "maxItems": 0},
        },
        "additionalProperties": False,
    },
}
READ_ONLY = {"password_expires_at", "extra"}
NEW = Form("user", PROPERTIES, required=("name",))
CHANGE = Form("user", PROPERTIES)
SECRET = {"type": "string", "minLength": 1, "maxLength": 4096}
CHANGE_PASSWORD = Form(
    "user",
    {"original_password": SECRET, "password": SECRET},
    required=("original_password", "password"),
)
FILTERS: Filters = {"name": str, "domain_id": str, "enabled": flag}


class Users(Resource):
    """All users."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Those that the query names; for a domain's reader, those of that domain."""
        caller = caller_of(req)
        asked = req.get_param("domain_id") or caller.domain_id
        authorize(caller, "list_users", Target(domain_id=asked))
        wanted = matches(req, FILTERS)
        if not allowed(caller, "list_users"):
            wanted.append(Match("domain_id", caller.domain_id))
        answer_list(self.directory, req, resp, "users", USERS, wanted)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """201."""
        content = NEW.read(req, self.directory.settings.body_bytes_max)
        domain_id = self.directory.domain_for(caller_of(req), content)
        authorize(caller_of(req), "create_user", Target(domain_id=domain_id))
        self.directory.get(DOMAINS, "domain", domain_id)
        password = content.get("password")
        command = CreateUser(
            user_id=new_id(),
            domain_id=domain_id,
            user_name=content["name"],
            password_hash=None if password is None else self.directory.passwords.hash(password),
            description=content.get("description"),
            enabled=content.get("enabled", True),
            default_project_id=content.get("default_project_id"),
            options=_options({}, content),
            extra=NEW.extra(content),
        )
        self.directory.send(req, command, domain_id)
        made = self.directory.get_user(command.user_id)
        write_json(resp, {"user": linked(self.directory, "users", made)}, 201)


class User(Resource):
    """One user."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """200."""
        found = user_for(self.directory, req, "get_user", user_id)
        write_json(resp, {"user": linked(self.directory, "users", found)})

    def on_patch(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """200; another password or disabling ends all of the user's tokens."""
        old = user_for(self.directory, req, "update_user", user_id)
        content = CHANGE.read(req, self.directory.settings.body_bytes_max)
        if content.get("domain_id") not in (None, old["domain_id"]):
            raise falcon.HTTPBadRequest(description="Update of `domain_id` is not allowed.")
        password = content.get("password")
        known = {*PROPERTIES, *READ_ONLY, "id"}
        new_extra = {k: v for k, v in CHANGE.extra(content).items() if k not in READ_ONLY}
        options = Map(values=_options(old["options"], content)) if "options" in content else None
        command = ChangeUser(
            user_id=user_id,
            user_name=content.get("name"),
            password_hash=None if password is None else self.directory.passwords.hash(password),
            description=text_of(content, "description"),
            enabled=content.get("enabled"),
            default_project_id=text_of(content, "default_project_id"),
            options=options,
            extra=merged(old, known, new_extra),
        )
        self.directory.send(req, command, old["domain_id"])
        found = self.directory.get_user(user_id)
        write_json(resp, {"user": linked(self.directory, "users", found)})

    def on_delete(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """204; grants and application credentials go with the user."""
        old = user_for(self.directory, req, "delete_user", user_id)
        self.directory.send(req, DeleteUser(user_id=user_id), old["domain_id"])
        resp.status = 204


class UserPassword(Resource):
    """The own password. Knowing the old one is enough: no token is needed."""

    public_methods = ("POST",)

    def __init__(self, directory: Directory) -> None:
        super().__init__(directory)
        self._logins = Logins(directory)

    def on_post(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """204; all of the user's tokens end."""
        content = CHANGE_PASSWORD.read(req, self.directory.settings.body_bytes_max)
        found = account(self.directory.engine, Named(id=user_id))
        verified = self._logins.verify(req, found, content["original_password"])
        assert found is not None  # verify lets nobody pass
        if found.options.get("lock_password"):
            raise falcon.HTTPForbidden(description="Password is locked for this user.")
        command = ChangePassword(
            user_id=user_id,
            verified_hash=verified,
            password_hash=self.directory.passwords.hash(content["password"]),
        )
        self.directory.send(req, command, found.domain_id)
        resp.status = 204


class UserGroups(Resource):
    """The groups of a user."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """200."""
        user_for(self.directory, req, "list_groups_for_user", user_id)
        wanted = [*matches(req, {"name": str}), Match("members", [user_id], "has_all")]
        answer_list(self.directory, req, resp, "groups", GROUPS, wanted)


def user_for(directory: Directory, req: falcon.Request, rule: str, user_id: str) -> dict[str, Any]:
    """The user, if the caller may. Raises 403, and 404 only to who may see all of them."""
    found = directory.find_user(user_id)
    target = Target(domain_id=found["domain_id"] if found else None, user_id=user_id)
    authorize(caller_of(req), rule, target)
    if found is None:
        raise not_found("user", user_id)
    return found


def _options(old: dict[str, Any], content: dict[str, Any]) -> dict[str, str]:
    """All options as JSON texts; null takes one away."""
    all_of = {**old, **content.get("options", {})}
    return {name: orjson.dumps(v).decode() for name, v in all_of.items() if v is not None}
