"""The services of the cloud: which there are, and taking a compute host out of scheduling.

A service's id is a number up to 2.52 and a UUID from 2.53 on. Only compute services are ever
changed: the others are known by their heartbeats alone.
"""

from __future__ import annotations

import uuid
from typing import Any

from api.compute import fields
from api.compute.faults import bad_request, not_found
from api.compute.fleet import heard_since
from api.compute.operation import Answer, Call, Operation
from api.compute.validation import Body, Property, Query, object_of
from api.policy import enforce
from commands.fleet.service import DeleteService, DisableService, EnableService, ForceDownService
from events.fleet.heartbeat import COMPUTE
from events.fleet.request import SHARD
from projections.fleet.services import ServiceRow, find_service, list_services
from projections.instants import microseconds

RULE = "os_compute_api:os-services:"
VERSION_FORCED_DOWN, VERSION_UUID = 11, 53
REASON = {"type": "string", "minLength": 1, "maxLength": 255}
BINARY = {"type": "string", "minLength": 1, "maxLength": 255}

QUERY = Query(
    (Property("host", fields.QUERY_FILTER), Property("binary", fields.QUERY_FILTER)),
    strict_since=75,
)
ACTION = Body(
    object_of(
        (
            Property("host", fields.FQDN, required_since=1),
            Property("binary", BINARY, required_since=1),
            Property("disabled_reason", REASON),
            Property("forced_down", fields.BOOLEAN, since=VERSION_FORCED_DOWN),
        )
    )
)
UPDATE = Body(
    object_of(
        (
            Property("status", {"type": "string", "enum": ["enabled", "disabled"]}),
            Property("disabled_reason", REASON),
            Property("forced_down", fields.BOOLEAN),
        )
    )
)


def view(call: Call, service: ServiceRow) -> dict[str, Any]:
    """A service at the call's microversion."""
    body: dict[str, Any] = {
        "binary": service.binary,
        "host": service.host,
        "id": service.id if call.version >= VERSION_UUID else service.number,
        "zone": service.zone,
        "status": "disabled" if service.disabled else "enabled",
        "state": "up" if service.up else "down",
        "updated_at": microseconds(service.updated_at),
        "disabled_reason": service.disabled_reason,
    }
    if call.version >= VERSION_FORCED_DOWN:
        body["forced_down"] = service.forced_down
    return body


def index(call: Call) -> Answer:
    """All services, or those of a host or binary name."""
    enforce(call.caller, f"{RULE}list")
    found = _all(call, host=call.last("host"), binary=call.last("binary"))
    return Answer({"services": [view(call, service) for service in found]})


def _all(call: Call, **wanted: str | None) -> list[ServiceRow]:
    with call.services.engine.connect() as connection:
        return list_services(connection, heard_since(call.services), **wanted)


# ------------------------------------------------------------- by host, up to 2.52


def act(call: Call) -> Answer:
    """``PUT /os-services/enable`` and its like."""
    action = call.params["service_id"]
    run = ACTIONS.get(action)
    if run is None or (action == "force-down" and call.version < VERSION_FORCED_DOWN):
        raise not_found("Unknown action")
    enforce(call.caller, f"{RULE}update")
    host, binary = call.body["host"], call.body["binary"]
    if not _all(call, host=host, binary=binary):
        raise not_found(f"Could not find binary {binary} on host {host}.")
    _only_compute(binary)
    return Answer({"service": {"host": host, "binary": binary, **run(call, host)}})


def _only_compute(binary: str) -> None:
    if binary != COMPUTE:
        raise bad_request(
            f"Updating a {binary} service is not supported. Only {COMPUTE} services can be updated."
        )


def _enable(call: Call, host: str) -> dict[str, Any]:
    call.send(EnableService(host=host), SHARD)
    return {"status": "enabled"}


def _disable(call: Call, host: str) -> dict[str, Any]:
    call.send(DisableService(host=host), SHARD)
    return {"status": "disabled"}


def _disable_for(call: Call, host: str) -> dict[str, Any]:
    reason = call.body.get("disabled_reason")
    if reason is None:
        raise bad_request("Missing disabled reason field")
    call.send(DisableService(host=host, reason=reason), SHARD)
    return {"status": "disabled", "disabled_reason": reason}


def _force_down(call: Call, host: str) -> dict[str, Any]:
    if "forced_down" not in call.body:
        raise bad_request("Missing forced_down field")
    forced = fields.is_true(call.body["forced_down"])
    call.send(ForceDownService(host=host, forced_down=forced), SHARD)
    return {"forced_down": forced}


ACTIONS = {
    "enable": _enable,
    "disable": _disable,
    "disable-log-reason": _disable_for,
    "force-down": _force_down,
}


# ---------------------------------------------------------------- by id


def update(call: Call) -> Answer:
    """``PUT /os-services/{uuid}``: status, reason, forced_down."""
    enforce(call.caller, f"{RULE}update")
    service = _found(call)
    _only_compute(service.binary)
    status, reason = call.body.get("status"), call.body.get("disabled_reason")
    if status is None and "forced_down" not in call.body:
        raise bad_request(
            "No updates were requested. Fields 'status' or 'forced_down' should be specified."
        )
    if reason is not None and status != "disabled":
        raise bad_request("Specifying 'disabled_reason' requires that 'status' is 'disabled'.")
    if status == "enabled":
        _enable(call, service.host)
    elif status == "disabled":
        call.send(DisableService(host=service.host, reason=reason), SHARD)
    if "forced_down" in call.body:
        _force_down(call, service.host)
    return Answer({"service": view(call, _found(call))})


def delete(call: Call) -> Answer:
    """Take a compute host out of the fleet; 409 while servers are on it."""
    enforce(call.caller, f"{RULE}delete")
    service = _found(call)
    if service.binary != COMPUTE:
        raise bad_request(
            f"Deleting a {service.binary} service is not supported: it is listed while its "
            "process sends heartbeats."
        )
    call.send(DeleteService(host=service.host), SHARD)
    return Answer(status=204)


def _found(call: Call) -> ServiceRow:
    given = call.params["service_id"]
    id = _checked_id(call, given)
    with call.services.engine.connect() as connection:
        service = find_service(connection, id)
    if service is None:
        others = (one for one in _all(call) if id in (one.id, str(one.number)))
        service = next(others, None)
    if service is None:
        raise not_found(f"Service {given} could not be found.")
    return service


def _checked_id(call: Call, given: str) -> str:
    if call.version < VERSION_UUID:
        if not given.isdecimal():
            raise bad_request(f"id must be an integer, not '{given}'.")
        return given
    try:
        return str(uuid.UUID(given))
    except ValueError:
        raise bad_request(f"Invalid uuid {given}") from None


ONE = "/os-services/{service_id}"

OPERATIONS = (
    Operation("GET", "/os-services", index, query=QUERY),
    Operation("PUT", ONE, act, until=VERSION_UUID - 1, body=ACTION),
    Operation("PUT", ONE, update, since=VERSION_UUID, body=UPDATE),
    Operation("DELETE", ONE, delete),
)
