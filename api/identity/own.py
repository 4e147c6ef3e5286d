"""What the caller can reach: projects, domains, the system, the catalog (``/v3/auth/…``)."""

from __future__ import annotations

import falcon

from api.http.body import write_json
from api.identity.catalog import catalog
from api.identity.directory import Directory, Resource, caller_of
from api.identity.listings import Filters, answer_list, flag, matches, write_list
from api.identity.policy import Target, authorize
from projections.identity.assignments import targets_of
from projections.identity.domains import DOMAINS
from projections.identity.listing import Match
from projections.identity.projects import PROJECTS
from projections.identity.standing import Scope, standing

FILTERS: Filters = {"name": str, "enabled": flag, "domain_id": str}


class OwnProjects(Resource):
    """``/v3/auth/projects``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The enabled projects that the caller has a role on."""
        user_id = caller_of(req).user_id
        wanted = [Match("enabled", True), _reachable(self.directory, "project", user_id)]
        answer_list(self.directory, req, resp, "projects", PROJECTS, wanted)


class UserProjects(Resource):
    """``/v3/users/{user_id}/projects``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """The projects that the user has a role on."""
        user = self.directory.find_user(user_id)
        target = Target(domain_id=user["domain_id"] if user else None, user_id=user_id)
        authorize(caller_of(req), "list_user_projects", target)
        self.directory.get_user(user_id)
        wanted = [*matches(req, FILTERS), _reachable(self.directory, "project", user_id)]
        answer_list(self.directory, req, resp, "projects", PROJECTS, wanted)


class OwnDomains(Resource):
    """``/v3/auth/domains``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The enabled domains that the caller has a role on."""
        user_id = caller_of(req).user_id
        wanted = [Match("enabled", True), _reachable(self.directory, "domain", user_id)]
        answer_list(self.directory, req, resp, "domains", DOMAINS, wanted)


class OwnSystem(Resource):
    """``/v3/auth/system``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The system, if the caller has a role on it."""
        found = standing(self.directory.engine, caller_of(req).user_id, Scope("system", "all"))
        write_list(self.directory, req, resp, "system", [])
        if found is not None:
            body = {"system": [{"all": True}], "links": {"self": f"{self.directory.url}/system"}}
            write_json(resp, body)


class OwnCatalog(Resource):
    """``/v3/auth/catalog``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The catalog, for a token that is for something."""
        if caller_of(req).unscoped:
            raise falcon.HTTPForbidden(
                description="You are not authorized to perform the requested action: "
                "identity:get_auth_catalog."
            )
        links = {"self": f"{self.directory.url}/auth/catalog"}
        write_json(resp, {"catalog": catalog(self.directory.settings), "links": links})


def _reachable(directory: Directory, kind: str, user_id: str) -> Match:
    return Match("id", targets_of(directory.engine, kind, user_id), "among")
