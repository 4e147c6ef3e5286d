"""Host aggregates: sets of hosts with metadata, some of which are availability zones.

What may be done to one (a zone under running servers stays) is decided in the fleet's domain.
"""

from __future__ import annotations

import uuid
from typing import Any

from api.compute import fields
from api.compute.faults import bad_request, not_found, not_implemented
from api.compute.operation import Answer, Call, Operation
from api.compute.validation import Body, Property, Schema, always, object_of, wrapped
from api.policy import enforce
from commands.fleet.aggregate import (
    AddAggregateHost,
    CreateAggregate,
    DeleteAggregate,
    RemoveAggregateHost,
    SetAggregateMetadata,
    UpdateAggregate,
)
from events.fleet.request import SHARD
from projections.fleet.host_aggregates import AggregateRow, find_aggregate, list_aggregates
from projections.instants import microseconds

RULE = "os_compute_api:os-aggregates:"
VERSION_UUID, VERSION_IMAGES = 41, 81
NUMBER_DIGITS_MAX = 18
ZONE_OR_NULL: Schema = {"anyOf": [fields.ZONE_NAME, fields.NULL]}
HOST: Schema = {
    "type": "object",
    "properties": {"host": fields.FQDN},
    "required": ["host"],
    "additionalProperties": False,
}
METADATA: Schema = {
    "type": "object",
    "properties": {
        "metadata": {
            "type": "object",
            "patternProperties": {
                "^[a-zA-Z0-9-_:. ]{1,255}$": {"type": ["string", "null"], "maxLength": 255}
            },
            "additionalProperties": False,
        }
    },
    "required": ["metadata"],
    "additionalProperties": False,
}
CREATE = Body(
    wrapped(
        "aggregate",
        object_of(
            (
                Property("name", fields.NAME, required_since=1),
                Property("availability_zone", ZONE_OR_NULL),
            )
        ),
    )
)
UPDATE = Body(
    wrapped(
        "aggregate",
        always(
            {
                "type": "object",
                "properties": {"name": fields.NAME, "availability_zone": ZONE_OR_NULL},
                "anyOf": [{"required": ["name"]}, {"required": ["availability_zone"]}],
                "additionalProperties": False,
            }
        ),
    )
)
ACTION = Body(
    always(
        {
            "type": "object",
            "properties": {"add_host": HOST, "remove_host": HOST, "set_metadata": METADATA},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        }
    )
)
IMAGES = Body(
    always(
        {
            "type": "object",
            "properties": {
                "cache": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "properties": {"id": fields.UUID},
                        "required": ["id"],
                        "additionalProperties": False,
                    },
                }
            },
            "required": ["cache"],
            "additionalProperties": False,
        }
    )
)


def view(call: Call, aggregate: AggregateRow, members: bool = True) -> dict[str, Any]:
    """An aggregate; a new one is answered without its (no) members."""
    updated = aggregate.updated_at
    body: dict[str, Any] = {
        "id": aggregate.number,
        "name": aggregate.name,
        "availability_zone": aggregate.availability_zone,
        "created_at": microseconds(aggregate.created_at),
        "updated_at": None if updated is None else microseconds(updated),
        "deleted": False,
        "deleted_at": None,
    }
    if members:
        body |= {"hosts": aggregate.hosts, "metadata": aggregate.metadata}
    if call.version >= VERSION_UUID:
        body["uuid"] = aggregate.id
    return body


def _all(call: Call) -> list[AggregateRow]:
    with call.services.engine.connect() as connection:
        return list_aggregates(connection)


def _found(call: Call) -> AggregateRow:
    given = call.params["aggregate"]
    if not given.isdecimal():
        raise bad_request(f"Invalid input for aggregate id '{given}': it must be an integer.")
    aggregate = None
    if len(given) <= NUMBER_DIGITS_MAX:
        with call.services.engine.connect() as connection:
            aggregate = find_aggregate(connection, int(given))
    if aggregate is None:
        raise not_found(f"Aggregate {given} could not be found.")
    return aggregate


def index(call: Call) -> Answer:
    """All aggregates."""
    enforce(call.caller, f"{RULE}index")
    return Answer({"aggregates": [view(call, aggregate) for aggregate in _all(call)]})


def show(call: Call) -> Answer:
    """One aggregate."""
    enforce(call.caller, f"{RULE}show")
    return Answer({"aggregate": view(call, _found(call))})


def create(call: Call) -> Answer:
    """Create; 409 when the name is taken."""
    enforce(call.caller, f"{RULE}create")
    body = call.body["aggregate"]
    id = str(uuid.uuid4())
    call.send(
        CreateAggregate(
            aggregate_id=id, name=body["name"], availability_zone=body.get("availability_zone")
        ),
        SHARD,
    )
    for made in _all(call):
        if made.id == id:
            return Answer({"aggregate": view(call, made, members=False)})
    raise not_found(f"Aggregate {body['name']} was deleted at once.")


def update(call: Call) -> Answer:
    """Another name, another zone."""
    enforce(call.caller, f"{RULE}update")
    body, aggregate = call.body["aggregate"], _found(call)
    zone = body.get("availability_zone")
    if "availability_zone" in body and zone is None and aggregate.availability_zone:
        raise bad_request(
            f"Cannot update aggregate {aggregate.number}. Reason: Aggregate {aggregate.name} does "
            "not support empty named availability zone."
        )
    call.send(
        UpdateAggregate(aggregate_id=aggregate.id, name=body.get("name"), availability_zone=zone),
        SHARD,
    )
    return Answer({"aggregate": view(call, _found(call))})


def delete(call: Call) -> Answer:
    """Delete one without hosts."""
    enforce(call.caller, f"{RULE}delete")
    call.send(DeleteAggregate(aggregate_id=_found(call).id), SHARD)
    return Answer()


def act(call: Call) -> Answer:
    """add_host, remove_host, set_metadata."""
    ((action, arguments),) = call.body.items()
    enforce(call.caller, f"{RULE}{action}")
    id = _found(call).id
    if action == "add_host":
        call.send(AddAggregateHost(aggregate_id=id, host=arguments["host"]), SHARD)
    elif action == "remove_host":
        call.send(RemoveAggregateHost(aggregate_id=id, host=arguments["host"]), SHARD)
    else:
        call.send(SetAggregateMetadata(aggregate_id=id, metadata=arguments["metadata"]), SHARD)
    return Answer({"aggregate": view(call, _found(call))})


def cache_images(call: Call) -> Answer:
    """501: hosts fetch an image when the first server needs it."""
    enforce(call.caller, "compute:aggregates:images")
    ids = [entry["id"] for entry in call.body["cache"]]
    if len(set(ids)) < len(ids):
        raise bad_request(f"Duplicate images in request: {', '.join(sorted(ids))}")
    aggregate = _found(call)
    raise not_implemented(
        f"Images cannot be cached on aggregate {aggregate.number} before they are needed: each "
        "host fetches an image once, for the first server that is built from it."
    )


ALL, ONE = "/os-aggregates", "/os-aggregates/{aggregate}"

OPERATIONS = (
    Operation("GET", ALL, index),
    Operation("POST", ALL, create, body=CREATE),
    Operation("GET", ONE, show),
    Operation("PUT", ONE, update, body=UPDATE),
    Operation("DELETE", ONE, delete),
    Operation("POST", f"{ONE}/action", act, body=ACTION),
    Operation("POST", f"{ONE}/images", cache_images, since=VERSION_IMAGES, body=IMAGES),
)
