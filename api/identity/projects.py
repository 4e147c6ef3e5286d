"""``/v3/projects`` and a project's tags."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import falcon

from api.http.body import read_object, write_json
from api.identity.bodies import (
    FLAG,
    IMMUTABLE,
    NULLABLE_ID,
    PROJECT_NAME,
    TAGS,
    TEXT,
    Form,
    Schema,
    immutable_of,
    merged,
    text_of,
)
from api.identity.directory import Directory, Resource, caller_of, new_id, not_found
from api.identity.hierarchy import with_hierarchy
from api.identity.listings import Filters, answer_list, flag, linked, matches, present
from api.identity.policy import Target, allowed, authorize
from commands.identity.project import (
    ChangeProject,
    CreateProject,
    DeleteProject,
    TagProject,
    UntagProject,
)
from projections.identity.domains import DOMAINS
from projections.identity.listing import Comparison, Match
from projections.identity.projects import PROJECTS

PROPERTIES = {
    "name": PROJECT_NAME,
    "domain_id": NULLABLE_ID,
    "parent_id": NULLABLE_ID,
    "is_domain": {"type": ["boolean", "null"]},
    "description": TEXT,
    "enabled": FLAG,
    "tags": TAGS,
    "options": IMMUTABLE,
}
NEW = Form("project", PROPERTIES, required=("name",))
CHANGE = Form("project", PROPERTIES)
TAG_LIST = Schema({"type": "object", "required": ["tags"], "properties": {"tags": TAGS}})
FILTERS: Filters = {"domain_id": str, "parent_id": str, "name": str, "enabled": flag}


class Projects(Resource):
    """All projects."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Those that the query names; for a domain's reader, those of that domain."""
        caller = caller_of(req)
        asked = req.get_param("domain_id") or caller.domain_id
        authorize(caller, "list_projects", Target(domain_id=asked))
        wanted = matches(req, FILTERS)
        if not allowed(caller, "list_projects"):
            wanted.append(Match("domain_id", caller.domain_id))
        wanted += _tag_filters(req)
        if present(req, "is_domain"):
            wanted.append(Match("id", [], "among"))  # none acts as a domain
        answer_list(self.directory, req, resp, "projects", PROJECTS, wanted)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """201."""
        content = NEW.read(req, self.directory.settings.body_bytes_max)
        domain_id = self._domain_of(req, content)
        authorize(caller_of(req), "create_project", Target(domain_id=domain_id))
        if self.directory.find(DOMAINS, domain_id) is None:
            raise falcon.HTTPBadRequest(description=f"Could not find domain: {domain_id}.")
        if content.get("is_domain"):
            raise falcon.HTTPBadRequest(description="Projects that act as domains do not exist.")
        command = CreateProject(
            project_id=new_id(),
            domain_id=domain_id,
            parent_id=content.get("parent_id") or domain_id,
            project_name=content["name"],
            description=content.get("description"),
            enabled=content.get("enabled", True),
            tags=content.get("tags", []),
            immutable=bool(immutable_of(content)),
            extra=NEW.extra(content),
        )
        self.directory.send(req, command, domain_id)
        made = self.directory.get(PROJECTS, "project", command.project_id)
        write_json(resp, {"project": linked(self.directory, "projects", made)}, 201)

    def _domain_of(self, req: falcon.Request, content: dict[str, Any]) -> str:
        """The domain asked for, that of the parent, or the token's."""
        parent = self.directory.find(PROJECTS, content.get("parent_id"))
        if not content.get("domain_id") and parent is not None:
            return str(parent["domain_id"])
        return self.directory.domain_for(caller_of(req), content)


class Project(Resource):
    """One project."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """200; with ``parents_as_list`` and its like, what is above and beneath."""
        found = project_for(self.directory, req, "get_project", project_id)
        made = linked(self.directory, "projects", found)
        write_json(resp, {"project": with_hierarchy(self.directory, req, made)})

    def on_patch(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """200."""
        old = project_for(self.directory, req, "update_project", project_id)
        content = CHANGE.read(req, self.directory.settings.body_bytes_max)
        for fixed in ("domain_id", "parent_id", "is_domain"):
            if content.get(fixed) is not None and content[fixed] != old[fixed]:
                raise falcon.HTTPBadRequest(description=f"Update of `{fixed}` is not allowed.")
        command = ChangeProject(
            project_id=project_id,
            project_name=content.get("name"),
            description=text_of(content, "description"),
            enabled=content.get("enabled"),
            tags=content.get("tags"),
            immutable=immutable_of(content),
            extra=merged(old, {*PROPERTIES, "id"}, CHANGE.extra(content)),
        )
        self.directory.send(req, command, old["domain_id"])
        found = self.directory.get(PROJECTS, "project", project_id)
        write_json(resp, {"project": linked(self.directory, "projects", found)})

    def on_delete(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """204; grants and application credentials go with it."""
        old = project_for(self.directory, req, "delete_project", project_id)
        self.directory.send(req, DeleteProject(project_id=project_id), old["domain_id"])
        resp.status = 204


class ProjectTags(Resource):
    """All tags of a project."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """200."""
        found = project_for(self.directory, req, "list_project_tags", project_id)
        self._answer(resp, found)

    def on_put(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """200; these and no others."""
        body: Any = read_object(req, self.directory.settings.body_bytes_max)
        TAG_LIST.check(body)
        self._set(req, project_id, body["tags"])
        self._answer(resp, self.directory.get(PROJECTS, "project", project_id))

    def on_delete(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """204; none any more."""
        self._set(req, project_id, [])
        resp.status = 204

    def _set(self, req: falcon.Request, project_id: str, tags: list[str]) -> None:
        old = project_for(self.directory, req, "update_project_tags", project_id)
        command = ChangeProject(project_id=project_id, tags=tags)
        self.directory.send(req, command, old["domain_id"])

    def _answer(self, resp: falcon.Response, found: dict[str, Any]) -> None:
        links = {"self": f"{self.directory.url}/projects/{found['id']}/tags"}
        write_json(resp, {"tags": found["tags"], "links": links})


class ProjectTag(Resource):
    """One tag of a project."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, project_id: str, tag: str) -> None:
        """204, or 404 when the project does not have it."""
        found = project_for(self.directory, req, "list_project_tags", project_id)
        if tag not in found["tags"]:
            raise not_found("project tag", tag)
        resp.status = 204

    def on_put(self, req: falcon.Request, resp: falcon.Response, project_id: str, tag: str) -> None:
        """201."""
        TAG_LIST.check({"tags": [tag]})
        old = project_for(self.directory, req, "update_project_tags", project_id)
        self.directory.send(req, TagProject(project_id=project_id, tag=tag), old["domain_id"])
        resp.set_header("Location", f"{self.directory.url}/projects/{project_id}/tags/{quote(tag)}")
        resp.status = 201

    def on_delete(
        self, req: falcon.Request, resp: falcon.Response, project_id: str, tag: str
    ) -> None:
        """204."""
        old = project_for(self.directory, req, "update_project_tags", project_id)
        self.directory.send(req, UntagProject(project_id=project_id, tag=tag), old["domain_id"])
        resp.status = 204


def project_for(
    directory: Directory, req: falcon.Request, rule: str, project_id: str
) -> dict[str, Any]:
    """The project, if the caller may. Raises 403, and 404 only to who may see all of them."""
    found = directory.find(PROJECTS, project_id)
    target = Target(domain_id=found["domain_id"] if found else None, project_id=project_id)
    authorize(caller_of(req), rule, target)
    if found is None:
        raise not_found("project", project_id)
    return found


def _tag_filters(req: falcon.Request) -> list[Match]:
    """The filters tags, tags-any, not-tags and not-tags-any."""
    comparisons: dict[str, Comparison] = {"tags": "has_all", "tags-any": "has_any"}
    return [
        Match("tags", given.split(","), comparison, negated=bool(prefix))
        for parameter, comparison in comparisons.items()
        for prefix in ("", "not-")
        if (given := req.get_param(prefix + parameter))
    ]
