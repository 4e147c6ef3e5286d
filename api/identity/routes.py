"""Every route of the Identity API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from api.identity import (
    application_credentials,
    catalog,
    domains,
    grants,
    groups,
    own,
    projects,
    role_assignments,
    roles,
    tokens,
    users,
    versions,
)
from api.identity.directory import Directory
from api.services import Services
from events.identity.assignment import TargetKind

RESOURCES: tuple[tuple[str, type[Any]], ...] = (
    ("", versions.Versions),
    ("/v3", versions.Version),
    ("/v3/auth/tokens", tokens.Tokens),
    ("/v3/auth/projects", own.OwnProjects),
    ("/v3/OS-FEDERATION/projects", own.OwnProjects),
    ("/v3/auth/domains", own.OwnDomains),
    ("/v3/OS-FEDERATION/domains", own.OwnDomains),
    ("/v3/auth/system", own.OwnSystem),
    ("/v3/auth/catalog", own.OwnCatalog),
    ("/v3/domains", domains.Domains),
    ("/v3/domains/{domain_id}", domains.Domain),
    ("/v3/projects", projects.Projects),
    ("/v3/projects/{project_id}", projects.Project),
    ("/v3/projects/{project_id}/tags", projects.ProjectTags),
    ("/v3/projects/{project_id}/tags/{tag}", projects.ProjectTag),
    ("/v3/users", users.Users),
    ("/v3/users/{user_id}", users.User),
    ("/v3/users/{user_id}/password", users.UserPassword),
    ("/v3/users/{user_id}/projects", own.UserProjects),
    ("/v3/users/{user_id}/groups", users.UserGroups),
    ("/v3/users/{user_id}/access_rules", application_credentials.AccessRules),
    (
        "/v3/users/{user_id}/application_credentials",
        application_credentials.ApplicationCredentials,
    ),
    (
        "/v3/users/{user_id}/application_credentials/{credential_id}",
        application_credentials.ApplicationCredential,
    ),
    ("/v3/groups", groups.Groups),
    ("/v3/groups/{group_id}", groups.Group),
    ("/v3/groups/{group_id}/users", groups.GroupUsers),
    ("/v3/groups/{group_id}/users/{user_id}", groups.GroupUser),
    ("/v3/roles", roles.Roles),
    ("/v3/roles/{role_id}", roles.Role),
    ("/v3/roles/{role_id}/implies", roles.ImpliedRoles),
    ("/v3/roles/{role_id}/implies/{implied_id}", roles.ImpliedRole),
    ("/v3/role_inferences", roles.RoleInferences),
    ("/v3/role_assignments", role_assignments.RoleAssignments),
)

TARGETS: tuple[TargetKind, ...] = ("project", "domain", "system")

OFFERS = (
    ("service", ("name", "type")),
    ("endpoint", ("interface", "service_id", "region_id")),
    ("region", ("parent_region_id",)),
)


def routes(services: Services) -> Iterable[tuple[str, Any]]:
    """Path (relative to ``/identity``) and resource."""
    directory = Directory(services)
    for path, resource in _resources(directory):
        if hasattr(resource, "on_get") and not hasattr(resource, "on_head"):
            resource.on_head = resource.on_get  # the server leaves the body out
        yield path, resource


def _resources(directory: Directory) -> Iterator[tuple[str, Any]]:
    for path, resource in RESOURCES:
        yield path, resource(directory)
    for singular, filters in OFFERS:
        yield f"/v3/{singular}s", catalog.Offer(directory, singular, filters)
        yield f"/v3/{singular}s/{{id}}", catalog.Offered(directory, singular)
    for actor in grants.ACTORS:
        for target in TARGETS:
            on = "/v3/system" if target == "system" else f"/v3/{target}s/{{{target}_id}}"
            path = f"{on}/{actor}s/{{{actor}_id}}/roles"
            yield path, grants.Grants(directory, target, actor)
            yield f"{path}/{{role_id}}", grants.Grant(directory, target, actor)
