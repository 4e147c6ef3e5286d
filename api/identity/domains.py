"""``/v3/domains``."""

from __future__ import annotations

import falcon

from api.http.body import write_json
from api.identity.bodies import FLAG, NAME, TEXT, Form, merged, text_of
from api.identity.directory import Resource, caller_of, new_id
from api.identity.listings import Filters, answer_list, flag, linked, matches
from api.identity.policy import Target, allowed, authorize
from commands.identity.domain import ChangeDomain, CreateDomain, DeleteDomain
from projections.identity.domains import DOMAINS
from projections.identity.listing import Match

PROPERTIES = {
    "name": NAME,
    "description": TEXT,
    "enabled": FLAG,
    "tags": {"type": "array", "maxItems": 0},
    "options": {"type": "object"},
}
NEW = Form("domain", PROPERTIES, required=("name",))
CHANGE = Form("domain", PROPERTIES)
FILTERS: Filters = {"name": str, "enabled": flag}
KEY = "default"
"""Domains themselves are decided in the default domain's partition."""


class Domains(Resource):
    """All domains."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Those that the query names; for a domain's own reader, that domain."""
        caller = caller_of(req)
        authorize(caller, "list_domains", Target(domain_id=caller.domain_id))
        wanted = matches(req, FILTERS)
        if not allowed(caller, "list_domains"):
            wanted.append(Match("id", caller.domain_id))
        answer_list(self.directory, req, resp, "domains", DOMAINS, wanted)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """201."""
        authorize(caller_of(req), "create_domain")
        content = NEW.read(req, self.directory.settings.body_bytes_max)
        command = CreateDomain(
            domain_id=new_id(),
            domain_name=content["name"],
            description=content.get("description"),
            enabled=content.get("enabled", True),
            extra=NEW.extra(content),
        )
        self.directory.send(req, command, KEY)
        made = self.directory.get(DOMAINS, "domain", command.domain_id)
        write_json(resp, {"domain": linked(self.directory, "domains", made)}, 201)


class Domain(Resource):
    """One domain."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, domain_id: str) -> None:
        """200."""
        authorize(caller_of(req), "get_domain", Target(domain_id=domain_id))
        self._answer(resp, domain_id)

    def on_patch(self, req: falcon.Request, resp: falcon.Response, domain_id: str) -> None:
        """200."""
        authorize(caller_of(req), "update_domain", Target(domain_id=domain_id))
        content = CHANGE.read(req, self.directory.settings.body_bytes_max)
        old = self.directory.get(DOMAINS, "domain", domain_id)
        command = ChangeDomain(
            domain_id=domain_id,
            domain_name=content.get("name"),
            description=text_of(content, "description"),
            enabled=content.get("enabled"),
            extra=merged(old, {*PROPERTIES, "id"}, CHANGE.extra(content)),
        )
        self.directory.send(req, command, KEY)
        self._answer(resp, domain_id)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, domain_id: str) -> None:
        """204; all that lies in it follows."""
        authorize(caller_of(req), "delete_domain", Target(domain_id=domain_id))
        self.directory.send(req, DeleteDomain(domain_id=domain_id), KEY)
        resp.status = 204

    def _answer(self, resp: falcon.Response, domain_id: str) -> None:
        found = self.directory.get(DOMAINS, "domain", domain_id)
        write_json(resp, {"domain": linked(self.directory, "domains", found)})
