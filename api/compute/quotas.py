"""Quotas of projects, the defaults, and the limits that every user sees.

What a project has is its own limits over the defaults; both are enforced where servers are
decided. Resources of the network that Nova once had (until 2.35) are unlimited, as in Nova.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.compute import fields
from api.compute.faults import bad_request
from api.compute.operation import Answer, Call, Operation
from api.compute.validation import Body, Build, Property, Query, object_of, wrapped
from api.policy import enforce
from commands.compute.limits import QUOTAS
from commands.compute.quota import ResetQuotas, SetQuotas
from projections.compute.project_quotas import find_quota
from projections.identity.listing import document as identity_document
from projections.identity.projects import PROJECTS

RULE = "os_compute_api:os-quota-sets:"
CLASS_RULE = "os_compute_api:os-quota-class-sets:"

NETWORK = ("fixed_ips", "floating_ips", "security_groups", "security_group_rules")
FILES = ("injected_files", "injected_file_content_bytes", "injected_file_path_bytes")
GROUPS = ("server_groups", "server_group_members")
VERSION_NO_NETWORK, VERSION_NO_FILES = 36, 57
VERSION_CLASS_GROUPS, VERSION_IMAGE_META_GONE = 50, 39
UNLIMITED = -1


def _resources(version: int, network_until: int = VERSION_NO_NETWORK - 1) -> list[str]:
    """The resources shown at a microversion."""
    shown = [name for name in QUOTAS if version < VERSION_NO_FILES or name not in FILES]
    return [*shown, *NETWORK] if version <= network_until else shown


def _quota_set(strict: bool) -> Build:
    values = [Property(name, fields.MINUS_1_OR_MORE) for name in QUOTAS if name not in FILES]
    values += [Property(name, fields.MINUS_1_OR_MORE, until=VERSION_NO_FILES - 1) for name in FILES]
    until = VERSION_NO_NETWORK - 1 if strict else VERSION_CLASS_GROUPS - 1
    values += [Property(name, fields.MINUS_1_OR_MORE, until=until) for name in NETWORK]
    if strict:
        values.append(Property("force", fields.BOOLEAN))
    return object_of(values)


UPDATE = Body(wrapped("quota_set", _quota_set(strict=True)))
UPDATE_CLASS = Body(wrapped("quota_class_set", _quota_set(strict=False)))
QUERY = Query((Property("user_id", fields.QUERY_TEXT),), strict_since=75)
LIMITS_QUERY = Query(
    (
        Property("tenant_id", fields.QUERY_TEXT),
        Property("reserved", fields.QUERY_TEXT, until=74),
    ),
    strict_since=75,
)


def limits_of(call: Call, project_id: str) -> dict[str, int]:
    """A project's limit of each resource; -1 is none."""
    return QUOTAS | find_quota(call.services.engine, project_id).limits


def _known_project(call: Call) -> str:
    """The path's project. Raises 400 when there is none of that id; to an admin only, as others
    must not learn which projects there are."""
    project_id = call.params["project_id"]
    if project_id != call.project_id and call.caller.is_admin:
        engine = call.services.engine
        if identity_document(engine, PROJECTS, project_id) is None:
            raise bad_request(f"Project ID {project_id} is not a valid project.")
    return project_id


def _shown(limits: dict[str, int], names: Sequence[str]) -> dict[str, int]:
    return {name: limits.get(name, UNLIMITED) for name in names}


def show(call: Call) -> Answer:
    """A project's limits."""
    enforce(call.caller, f"{RULE}show", call.params["project_id"])
    project_id = _known_project(call)
    limits = _shown(limits_of(call, project_id), _resources(call.version))
    return Answer({"quota_set": {"id": project_id, **limits}})


def detail(call: Call) -> Answer:
    """A project's limits, and what is in use."""
    enforce(call.caller, f"{RULE}detail", call.params["project_id"])
    project_id = _known_project(call)
    quota = find_quota(call.services.engine, project_id)
    used = {"instances": quota.instances, "cores": quota.cores, "ram": quota.ram_mib}
    limits = _shown(QUOTAS | quota.limits, _resources(call.version))
    rows: dict[str, Any] = {
        name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0}
        for name, limit in limits.items()
    }
    return Answer({"quota_set": {"id": project_id, **rows}})


def defaults(call: Call) -> Answer:
    """What a project has without limits of its own."""
    enforce(call.caller, f"{RULE}defaults", call.params["project_id"])
    project_id = _known_project(call)
    return Answer({"quota_set": {"id": project_id, **_shown(QUOTAS, _resources(call.version))}})


def update(call: Call) -> Answer:
    """Set limits; 400 below what is in use, unless forced."""
    enforce(call.caller, f"{RULE}update", call.params["project_id"])
    if call.last("user_id") is not None:
        raise bad_request(
            "Quotas of single users are not supported: a project's quota is for all its users."
        )
    project_id = _known_project(call)
    body = call.body["quota_set"]
    limits = {name: int(body[name]) for name in QUOTAS if name in body}
    force = fields.is_true(body.get("force", False))
    if limits:
        call.send(SetQuotas(project_id=project_id, limits=limits, force=force), project_id)
    shown = _shown(limits_of(call, project_id), _resources(call.version))
    return Answer({"quota_set": shown})


def reset(call: Call) -> Answer:
    """Back to the defaults."""
    enforce(call.caller, f"{RULE}delete", call.params["project_id"])
    project_id = call.params["project_id"]
    call.send(ResetQuotas(project_id=project_id), project_id)
    return Answer(status=202)


# ---------------------------------------------------------------- defaults


def show_class(call: Call) -> Answer:
    """The defaults: every class has the same."""
    enforce(call.caller, f"{CLASS_RULE}show")
    names = _resources(call.version, network_until=VERSION_CLASS_GROUPS - 1)
    if call.version < VERSION_CLASS_GROUPS:
        names = [name for name in names if name not in GROUPS]
    shown = _shown(QUOTAS, names)
    return Answer({"quota_class_set": {"id": call.params["quota_class"], **shown}})


def update_class(call: Call) -> Answer:
    """400: the defaults are part of the software."""
    enforce(call.caller, f"{CLASS_RULE}update")
    raise bad_request(
        "The default quotas cannot be changed by the API. Set the quota of each project instead: "
        f"PUT /os-quota-sets/{{project_id}}; class '{call.params['quota_class']}' is unchanged."
    )


# ------------------------------------------------------------------ limits

ABSOLUTE = (
    ("maxTotalInstances", "instances", None),
    ("maxTotalCores", "cores", None),
    ("maxTotalRAMSize", "ram", None),
    ("maxTotalKeypairs", "key_pairs", None),
    ("maxServerMeta", "metadata_items", None),
    ("maxServerGroups", "server_groups", None),
    ("maxServerGroupMembers", "server_group_members", None),
    ("maxImageMeta", "metadata_items", VERSION_IMAGE_META_GONE - 1),
    ("maxPersonality", "injected_files", VERSION_NO_FILES - 1),
    ("maxPersonalitySize", "injected_file_content_bytes", VERSION_NO_FILES - 1),
    ("maxSecurityGroups", "security_groups", VERSION_NO_NETWORK - 1),
    ("maxSecurityGroupRules", "security_group_rules", VERSION_NO_NETWORK - 1),
    ("maxTotalFloatingIps", "floating_ips", VERSION_NO_NETWORK - 1),
)
"""Name, resource, the last microversion that shows it (None: all do)."""


def show_limits(call: Call) -> Answer:
    """The caller's limits and usage; an admin may ask for another project's."""
    enforce(call.caller, "os_compute_api:limits")
    project_id = call.last("tenant_id") or call.project_id
    if project_id != call.project_id:
        enforce(call.caller, "os_compute_api:limits:other_project")
    quota = find_quota(call.services.engine, project_id)
    limits = QUOTAS | quota.limits
    absolute = {
        name: limits.get(resource, UNLIMITED)
        for name, resource, until in ABSOLUTE
        if until is None or call.version <= until
    }
    absolute["totalInstancesUsed"] = quota.instances
    absolute["totalCoresUsed"] = quota.cores
    absolute["totalRAMUsed"] = quota.ram_mib
    absolute["totalServerGroupsUsed"] = 0
    if call.version < VERSION_NO_NETWORK:
        absolute["totalFloatingIpsUsed"] = 0
        absolute["totalSecurityGroupsUsed"] = 0
    return Answer({"limits": {"rate": [], "absolute": absolute}})


ONE, CLASS = "/os-quota-sets/{project_id}", "/os-quota-class-sets/{quota_class}"

OPERATIONS = (
    Operation("GET", ONE, show, query=QUERY),
    Operation("PUT", ONE, update, query=QUERY, body=UPDATE),
    Operation("DELETE", ONE, reset, query=QUERY),
    Operation("GET", f"{ONE}/detail", detail, query=QUERY),
    Operation("GET", f"{ONE}/defaults", defaults),
    Operation("GET", CLASS, show_class),
    Operation("PUT", CLASS, update_class, body=UPDATE_CLASS),
    Operation("GET", "/limits", show_limits, query=LIMITS_QUERY),
)
