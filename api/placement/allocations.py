"""Allocations: what servers hold. The scheduler alone writes them."""

from __future__ import annotations

from typing import Any

from api.placement.errors import MISSING_VALUE, bad_request
from api.placement.operation import Call, Operation, Parameter, privileged, refused
from projections.fleet.providers import find_consumer, usage_of

VERSION_OWNER, VERSION_GENERATION, VERSION_TYPE = 12, 28, 38
INSTANCE, ANY_TYPE = "INSTANCE", "all"
"""Type of consumers that are servers, and the word for whatever type."""


def show(call: Call) -> object:
    """What a server holds; nothing for whatever holds nothing."""
    with call.connect() as connection:
        consumer = find_consumer(connection, call.params["consumer"])
    if consumer is None:
        return {"allocations": {}}
    held = {
        "resources": consumer.resources,
        "generation": consumer.provider_generation,
    }
    body: dict[str, Any] = {"allocations": {consumer.provider_id: held}}
    if call.version >= VERSION_OWNER:
        body |= {"project_id": consumer.project_id, "user_id": consumer.user_id}
    if call.version >= VERSION_GENERATION:
        body["consumer_generation"] = consumer.generation
    if call.version >= VERSION_TYPE:
        body["consumer_type"] = INSTANCE
    return body


def usages(call: Call) -> object:
    """What a project's servers hold together."""
    project_id = call.one("project_id") or ""
    with call.connect() as connection:
        usage = usage_of(connection, project_id, call.one("user_id"))
    if call.version < VERSION_TYPE:
        return {"usages": usage.resources}
    type = call.one("consumer_type")
    if not usage.consumers or type not in (None, INSTANCE, ANY_TYPE):
        return {"usages": {}}
    counted = {**usage.resources, "consumer_count": usage.consumers}
    return {"usages": {ANY_TYPE if type == ANY_TYPE else INSTANCE: counted}}


def _may_see_usages(call: Call) -> bool:
    project_id = call.one("project_id")
    if not project_id:
        raise bad_request(
            "Invalid query string parameters: 'project_id' is a required property", MISSING_VALUE
        )
    own = call.caller.project_id == project_id and "reader" in call.caller.roles
    return own or privileged(call)


SCHEDULER = (
    "Allocations are written by the scheduler alone, as it places servers: delete or move the "
    "server instead."
)
ONE = "/allocations/{consumer}"

OPERATIONS = (
    Operation("GET", ONE, show),
    refused("PUT", ONE, SCHEDULER),
    refused("DELETE", ONE, SCHEDULER),
    refused("POST", "/allocations", SCHEDULER, 13, readable=False),
    refused("POST", "/reshaper", SCHEDULER, 30, readable=False),
    Operation(
        "GET",
        "/usages",
        usages,
        since=9,
        parameters=(
            *(Parameter("project_id"), Parameter("user_id")),
            Parameter("consumer_type", since=VERSION_TYPE),
        ),
        allowed=_may_see_usages,
    ),
)
