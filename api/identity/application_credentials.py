"""``/v3/users/{user_id}/application_credentials``: made by the user, for its token's project.

The secret is in the answer to the creation and nowhere else; what is kept is its Argon2id hash.
Access rules are refused: they would have to be kept by every service.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

import falcon

from api.caller import Caller
from api.http.body import write_json
from api.identity.bodies import NAME, TEXT, Form
from api.identity.directory import Directory, Resource, caller_of, new_id, not_found
from api.identity.listings import linked, matches, read_page, write_list
from api.identity.policy import Target, authorize
from api.identity.users import user_for
from api.tokens.reading import now
from commands.identity.application_credential import (
    CreateApplicationCredential,
    DeleteApplicationCredential,
)
from projections.identity.application_credentials import CREDENTIALS, credential_roles
from projections.identity.listing import Match
from projections.identity.standing import implied_roles
from projections.instants import parse

NEW = Form(
    "application_credential",
    {
        "name": NAME,
        "description": TEXT,
        "secret": {"type": ["string", "null"], "minLength": 1, "maxLength": 4096},
        "expires_at": TEXT,
        "unrestricted": {"type": ["boolean", "null"]},
        "access_rules": {"type": ["array", "null"]},
        "roles": {
            "type": ["array", "null"],
            "items": {
                "type": "object",
                "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
                "minProperties": 1,
            },
        },
        "project_id": TEXT,
        "user_id": TEXT,
    },
    required=("name",),
)
SECRET_BYTES = 64
"""86 characters, as Keystone's."""


class ApplicationCredentials(Resource):
    """All of a user's."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """200."""
        user_for(self.directory, req, "list_application_credentials", user_id)
        wanted = [Match("user_id", user_id), *matches(req, {"name": str})]
        found, full = read_page(self.directory, req, CREDENTIALS, wanted)
        roles = credential_roles(self.directory.engine, [item["id"] for item in found])
        for item in found:
            item["roles"] = roles.get(item["id"], [])
        path = f"users/{user_id}/application_credentials"
        write_list(self.directory, req, resp, "application_credentials", found, path, full)

    def on_post(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """201, with the secret."""
        caller = caller_of(req)
        authorize(caller, "create_application_credential", Target(user_id=user_id))
        _may_manage(caller)
        if caller.project_id is None:
            raise falcon.HTTPBadRequest(
                description="An application credential is made with a token for a project."
            )
        content = NEW.read(req, self.directory.settings.body_bytes_max)
        if content.get("access_rules"):
            raise falcon.HTTPBadRequest(
                description="Access rules of application credentials are not supported."
            )
        secret = content.get("secret") or secrets.token_urlsafe(SECRET_BYTES)
        command = CreateApplicationCredential(
            credential_id=new_id(),
            user_id=user_id,
            project_id=caller.project_id,
            credential_name=content["name"],
            secret_hash=self.directory.passwords.hash(secret),
            role_ids=self._roles(caller, content.get("roles")),
            description=content.get("description"),
            unrestricted=bool(content.get("unrestricted")),
            expires_at=_expiry(content.get("expires_at")),
        )
        self.directory.send(req, command, caller.user_domain_id)
        made = shown(self.directory, user_id, command.credential_id)
        made["application_credential"]["secret"] = secret
        write_json(resp, made, 201)

    def _roles(self, caller: Caller, asked: list[dict[str, str]] | None) -> list[str]:
        """Ids of the roles asked for, all of which the token has; none asked: all it has."""
        if not asked:
            return sorted(caller.role_ids)
        held = dict(implied_roles(self.directory.engine, sorted(caller.role_ids)))
        by_name = {name: id for id, name in held.items()}
        chosen = []
        for role in asked:
            id = role["id"] if "id" in role else by_name.get(role.get("name", ""), "")
            if id not in held:
                raise falcon.HTTPBadRequest(
                    description="Application credentials have only roles of the token they are "
                    "made with."
                )
            chosen.append(id)
        return sorted(set(chosen))


class ApplicationCredential(Resource):
    """One of a user's."""

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, user_id: str, credential_id: str
    ) -> None:
        """200."""
        user_for(self.directory, req, "list_application_credentials", user_id)
        write_json(resp, shown(self.directory, user_id, credential_id))

    def on_delete(
        self, req: falcon.Request, resp: falcon.Response, user_id: str, credential_id: str
    ) -> None:
        """204; tokens made with it are refused from now on."""
        user = user_for(self.directory, req, "delete_application_credential", user_id)
        _may_manage(caller_of(req))
        command = DeleteApplicationCredential(credential_id=credential_id, user_id=user_id)
        self.directory.send(req, command, user["domain_id"])
        resp.status = 204


class AccessRules(Resource):
    """Access rules: there are none."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """200 with none."""
        user_for(self.directory, req, "list_application_credentials", user_id)
        write_list(self.directory, req, resp, "access_rules", [])


def shown(directory: Directory, user_id: str, credential_id: str) -> dict[str, Any]:
    """The body of a credential. Raises 404, also for another user's."""
    found = directory.find(CREDENTIALS, credential_id)
    if found is None or found["user_id"] != user_id:
        raise not_found("Application Credential", credential_id)
    found["roles"] = credential_roles(directory.engine, [credential_id]).get(credential_id, [])
    path = f"users/{user_id}/application_credentials"
    return {"application_credential": linked(directory, path, found)}


def _may_manage(caller: Caller) -> None:
    """A restricted credential cannot make others of its kind, nor delete them. Raises 403."""
    if not caller.unrestricted:
        raise falcon.HTTPForbidden(
            description="Using a restricted application credential to manage application "
            "credentials is not allowed."
        )


def _expiry(text: str | None) -> int | None:
    """Microseconds since 1970. Raises 400 for what is no moment, or past."""
    if text is None:
        return None
    try:
        moment = parse(text)
    except ValueError:
        raise falcon.HTTPBadRequest(
            description="Invalid input for field 'expires_at': expected YYYY-MM-DDTHH:MM:SS."
        ) from None
    if moment <= now():
        raise falcon.HTTPBadRequest(
            description="Invalid input for field 'expires_at': it must be in the future "
            f"(it is {datetime.now(UTC):%Y-%m-%dT%H:%M:%S} now)."
        )
    return moment
