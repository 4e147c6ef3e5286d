"""Flavors, their extra specs, and which projects may use those that are not public."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from api.compute import fields
from api.compute.extra_specs import check_extra_specs
from api.compute.faults import bad_request, conflict, not_found
from api.compute.operation import Answer, Call, Operation
from api.compute.paging import limit_of, next_links
from api.compute.validation import Body, Property, Query, always, object_of, wrapped
from api.policy import allowed, enforce
from commands.compute.flavor import (
    AddFlavorAccess,
    CreateFlavor,
    DeleteExtraSpec,
    DeleteFlavor,
    DescribeFlavor,
    RemoveFlavorAccess,
    SetExtraSpecs,
)
from events.bounds import INT8_MAX
from events.compute.flavor import KEY, Flavor
from projections.compute.flavor_queries import SORT_KEYS, FlavorQuery, list_flavors
from projections.compute.flavors import document, find_flavor, usable_by
from projections.identity.listing import document as identity_document
from projections.identity.projects import PROJECTS

RULE = "os_compute_api:os-flavor"
NUMBER = re.compile(r"[0-9]{1,18}")
"""What a column of the database can be compared with."""
VERSION_DESCRIPTION, VERSION_SPECS, VERSION_SWAP_NUMBER, VERSION_LEAN = 55, 61, 75, 102
NAME = {"type": "string", "minLength": 1, "maxLength": 255, "format": "name"}
ID = {
    "oneOf": [
        {
            "type": "string",
            "maxLength": 255,
            "pattern": "^[a-zA-Z0-9._-]([a-zA-Z0-9. _-]*[a-zA-Z0-9._-])?$",
        },
        {"type": "integer", "minimum": -INT8_MAX, "maximum": INT8_MAX},
        {"type": "null"},
    ]
}
DESCRIPTION = {"type": ["string", "null"], "minLength": 0, "maxLength": 65535}
RXTX = {
    "type": ["number", "string"],
    "pattern": r"^[0-9]+(\.[0-9]+)?$",
    "minimum": 0,
    "maximum": 3.4e38,
    "format": "rxtx-factor",
}
SPEC_VALUE = {"type": ["string", "number"], "minLength": 0, "maxLength": 255}
SPECS = {
    "type": "object",
    "patternProperties": {"^[a-zA-Z0-9-_:. ]{1,255}$": SPEC_VALUE},
    "additionalProperties": False,
}
ONE_SPEC = {**SPECS, "minProperties": 1, "maxProperties": 1}

CREATE = Body(
    wrapped(
        "flavor",
        object_of(
            (
                Property("name", NAME, required_since=1),
                Property("ram", fields.POSITIVE, required_since=1),
                Property("vcpus", fields.POSITIVE, required_since=1),
                Property("disk", fields.NON_NEGATIVE, required_since=1),
                Property("id", ID),
                Property("OS-FLV-EXT-DATA:ephemeral", fields.NON_NEGATIVE),
                Property("swap", fields.NON_NEGATIVE),
                Property("rxtx_factor", RXTX, until=VERSION_LEAN - 1),
                Property("os-flavor-access:is_public", fields.BOOLEAN),
                Property("description", DESCRIPTION, since=VERSION_DESCRIPTION),
            )
        ),
    )
)
UPDATE = Body(
    wrapped("flavor", object_of((Property("description", DESCRIPTION, required_since=1),)))
)
TENANT = {
    "type": "object",
    "properties": {"tenant": {"type": "string", "minLength": 1, "maxLength": 255}},
    "required": ["tenant"],
    "additionalProperties": False,
}
ACTION = Body(
    always(
        {
            "type": "object",
            "properties": {"addTenantAccess": TENANT, "removeTenantAccess": TENANT},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        }
    )
)


def _words(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


LIST_QUERY = Query(
    (
        Property("limit", _words({"type": "string", "pattern": "^[0-9]+$", "maxLength": 10})),
        Property("marker", _words({"type": "string"})),
        Property("is_public", _words({"type": "string"})),
        Property("minRam", _words({"type": "string"})),
        Property("minDisk", _words({"type": "string"})),
        Property("sort_key", _words({"type": "string", "enum": sorted(SORT_KEYS)})),
        Property("sort_dir", _words({"type": "string", "enum": ["asc", "desc"]})),
        Property("name", _words({"type": "string"}), since=VERSION_LEAN),
    ),
    strict_since=75,
)


# ------------------------------------------------------------------ views


def links(call: Call, flavor_id: str) -> list[dict[str, str]]:
    """A flavor's links."""
    path = f"/flavors/{flavor_id}"
    return [
        {"rel": "self", "href": call.link(path)},
        {"rel": "bookmark", "href": call.bookmark(path)},
    ]


def view(call: Call, flavor: Flavor) -> dict[str, Any]:
    """The flavor's body at the call's microversion."""
    body = document(flavor)
    if call.version < VERSION_SWAP_NUMBER and not body["swap"]:
        body["swap"] = ""
    if call.version < VERSION_DESCRIPTION:
        del body["description"]
    if call.version >= VERSION_LEAN:
        del body["rxtx_factor"], body["OS-FLV-DISABLED:disabled"]
    shown = call.version >= VERSION_SPECS and allowed(
        call.caller, f"{RULE}-extra-specs:index", call.project_id
    )
    if not shown:
        del body["extra_specs"]
    body["links"] = links(call, body["id"])
    return body


def summary(call: Call, flavor: Flavor) -> dict[str, Any]:
    """Id, name and links."""
    snapshot = flavor.flavor
    body: dict[str, Any] = {"id": snapshot.flavor_id, "name": snapshot.name}
    if call.version >= VERSION_DESCRIPTION:
        body["description"] = snapshot.description
    body["links"] = links(call, snapshot.flavor_id)
    return body


# ------------------------------------------------------------- operations


def _found(call: Call) -> Flavor:
    flavor_id = call.params["flavor_id"]
    flavor = _usable(call, flavor_id)
    if flavor is None:
        raise not_found(f"Flavor {flavor_id} could not be found.")
    return flavor


def _usable(call: Call, flavor_id: str) -> Flavor | None:
    """The flavor, unless there is none of that id that the caller may have."""
    flavor = find_flavor(call.services.engine, flavor_id)
    if flavor is None or not usable_by(flavor, call.project_id, call.caller.is_admin):
        return None
    return flavor


def _number(call: Call, name: str) -> int:
    text = call.last(name)
    if text is None:
        return 0
    if not NUMBER.fullmatch(text):
        raise bad_request(f"Invalid {name} filter [{text}]")
    return int(text)


def _is_public(call: Call) -> bool | None:
    """Which flavors an admin asks for; None: all. Others see what they may use."""
    text = (call.last("is_public") or "true").lower()
    if text == "none":
        return None
    if text in ("true", "t", "yes", "y", "1", "on"):
        return True
    if text in ("false", "f", "no", "n", "0", "off"):
        return False
    raise bad_request(f"Invalid is_public filter [{call.last('is_public')}]")


def _page(call: Call, path: str, one: Callable[[Call, Flavor], dict[str, Any]]) -> Answer:
    limit = limit_of(call)
    marker = call.last("marker")
    if marker is not None and _usable(call, marker) is None:
        raise bad_request(f"marker [{marker}] not found")
    admin = call.caller.is_admin
    query = FlavorQuery(
        usable_by=None if admin else call.project_id,
        is_public=_is_public(call) if admin else None,
        min_ram_mib=_number(call, "minRam"),
        min_root_gib=_number(call, "minDisk"),
        name=call.last("name"),
        sort_key=call.last("sort_key") or "flavorid",
        descending=call.last("sort_dir") == "desc",
        marker=marker,
        limit=limit,
    )
    flavors, full = list_flavors(call.services.engine, query)
    body: dict[str, Any] = {"flavors": [one(call, flavor) for flavor in flavors]}
    more = next_links(call, path, [f.flavor.flavor_id for f in flavors], limit, full)
    if more:
        body["flavors_links"] = more
    return Answer(body)


def index(call: Call) -> Answer:
    """Ids and names."""
    return _page(call, "/flavors", summary)


def detail(call: Call) -> Answer:
    """Whole flavors."""
    return _page(call, "/flavors/detail", view)


def show(call: Call) -> Answer:
    """One flavor."""
    return Answer({"flavor": view(call, _found(call))})


def create(call: Call) -> Answer:
    """Create; 409 when id or name is taken."""
    enforce(call.caller, f"{RULE}-manage:create")
    body = call.body["flavor"]
    id = body.get("id")
    flavor_id = str(uuid.uuid4()) if id is None else str(id)
    call.send(
        CreateFlavor(
            flavor_id=flavor_id,
            name=body["name"].strip(),
            vcpus=int(body["vcpus"]),
            ram_mib=int(body["ram"]),
            root_gib=int(body["disk"]),
            ephemeral_gib=int(body.get("OS-FLV-EXT-DATA:ephemeral", 0)),
            swap_mib=int(body.get("swap", 0)),
            rxtx_factor=float(body.get("rxtx_factor", 1.0)),
            is_public=fields.is_true(body.get("os-flavor-access:is_public", True)),
            description=body.get("description"),
        ),
        KEY,
    )
    return Answer({"flavor": view(call, _made(call, flavor_id))})


def _made(call: Call, flavor_id: str) -> Flavor:
    flavor = find_flavor(call.services.engine, flavor_id)
    if flavor is None:
        raise not_found(f"Flavor {flavor_id} could not be found.")
    return flavor


def update(call: Call) -> Answer:
    """Change the description."""
    enforce(call.caller, f"{RULE}-manage:update")
    flavor_id = _found(call).flavor.flavor_id
    description = call.body["flavor"]["description"]
    call.send(DescribeFlavor(flavor_id=flavor_id, description=description), KEY)
    return Answer({"flavor": view(call, _made(call, flavor_id))})


def delete(call: Call) -> Answer:
    """Delete; servers keep their copy."""
    enforce(call.caller, f"{RULE}-manage:delete")
    call.send(DeleteFlavor(flavor_id=_found(call).flavor.flavor_id), KEY)
    return Answer(status=202)


def specs(call: Call) -> Answer:
    """All extra specs."""
    enforce(call.caller, f"{RULE}-extra-specs:index", call.project_id)
    return Answer({"extra_specs": _found(call).flavor.extra_specs})


def set_specs(call: Call) -> Answer:
    """Add or change extra specs."""
    enforce(call.caller, f"{RULE}-extra-specs:create")
    given = {name: str(value) for name, value in call.body["extra_specs"].items()}
    check_extra_specs(given, call.version)
    call.send(SetExtraSpecs(flavor_id=_found(call).flavor.flavor_id, extra_specs=given), KEY)
    return Answer({"extra_specs": given})


def show_spec(call: Call) -> Answer:
    """One extra spec."""
    enforce(call.caller, f"{RULE}-extra-specs:show", call.project_id)
    flavor, name = _found(call).flavor, call.params["spec"]
    if name not in flavor.extra_specs:
        raise not_found(f"Flavor {flavor.flavor_id} has no extra specs with key {name}.")
    return Answer({name: flavor.extra_specs[name]})


def set_spec(call: Call) -> Answer:
    """Change one extra spec; the body's only key is the path's."""
    enforce(call.caller, f"{RULE}-extra-specs:update")
    name = call.params["spec"]
    if name not in call.body:
        raise bad_request("Request body and URI mismatch")
    given = {name: str(call.body[name])}
    check_extra_specs(given, call.version)
    call.send(SetExtraSpecs(flavor_id=_found(call).flavor.flavor_id, extra_specs=given), KEY)
    return Answer(given)


def delete_spec(call: Call) -> Answer:
    """Remove one extra spec."""
    enforce(call.caller, f"{RULE}-extra-specs:delete")
    flavor_id = _found(call).flavor.flavor_id
    call.send(DeleteExtraSpec(flavor_id=flavor_id, key=call.params["spec"]), KEY)
    return Answer()


def access(call: Call) -> Answer:
    """Which projects may use the flavor; 404 when all may."""
    enforce(call.caller, f"{RULE}-access")
    flavor = _found(call)
    if flavor.flavor.is_public:
        raise not_found("Access list not available for public flavors.")
    return Answer({"flavor_access": _access_of(flavor)})


def _access_of(flavor: Flavor) -> Sequence[dict[str, str]]:
    id = flavor.flavor.flavor_id
    return [{"flavor_id": id, "tenant_id": project} for project in flavor.project_ids]


def act(call: Call) -> Answer:
    """addTenantAccess, removeTenantAccess."""
    ((action, arguments),) = call.body.items()
    adding = action == "addTenantAccess"
    rule = "add_tenant_access" if adding else "remove_tenant_access"
    enforce(call.caller, f"{RULE}-access:{rule}")
    flavor, project_id = _found(call), arguments["tenant"]
    if adding and flavor.flavor.is_public and call.version >= 7:
        raise conflict("Can not add access to a public flavor.")
    # A project that is gone keeps its access until somebody takes it away.
    if adding and identity_document(call.services.engine, PROJECTS, project_id) is None:
        raise bad_request(f"Project ID {project_id} is not a valid project.")
    kind = AddFlavorAccess if adding else RemoveFlavorAccess
    id = flavor.flavor.flavor_id
    call.send(kind(flavor_id=id, project_id=project_id), KEY)
    return Answer({"flavor_access": _access_of(_made(call, id))})


ONE, EXTRA = "/flavors/{flavor_id}", "/flavors/{flavor_id}/os-extra_specs"

OPERATIONS = (
    Operation("GET", "/flavors", index, query=LIST_QUERY),
    Operation("POST", "/flavors", create, body=CREATE),
    Operation("GET", "/flavors/detail", detail, query=LIST_QUERY),
    Operation("GET", ONE, show),
    Operation("PUT", ONE, update, since=VERSION_DESCRIPTION, body=UPDATE),
    Operation("DELETE", ONE, delete),
    Operation("GET", EXTRA, specs),
    Operation("POST", EXTRA, set_specs, body=Body(wrapped("extra_specs", always(SPECS)))),
    Operation("GET", f"{EXTRA}/{{spec}}", show_spec),
    Operation("PUT", f"{EXTRA}/{{spec}}", set_spec, body=Body(always(ONE_SPEC))),
    Operation("DELETE", f"{EXTRA}/{{spec}}", delete_spec),
    Operation("GET", f"{ONE}/os-flavor-access", access),
    Operation("POST", f"{ONE}/action", act, body=ACTION),
)
