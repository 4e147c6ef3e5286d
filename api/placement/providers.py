"""Resource providers: one for each compute node, and what hangs beneath it."""

from __future__ import annotations

from typing import Any

from api.placement.asked import IN_TREE, MEMBER_OF, REQUIRED, RESOURCES, tests
from api.placement.errors import not_found
from api.placement.operation import (
    Call,
    Operation,
    Parameter,
    checked_uuid,
    href,
    refused,
)
from events.fleet.inventory import Inventory
from projections.fleet.providers import ProviderRow, consumers_of

VERSION_TREE, VERSION_AGGREGATE_GENERATION, VERSION_CONSUMER = 14, 19, 28
LINKS = (
    ("inventories", 0),
    ("usages", 0),
    ("aggregates", 1),
    ("traits", 6),
    ("allocations", 11),
)
"""What a provider links to, each from its microversion on."""


def view(call: Call, provider: ProviderRow) -> dict[str, Any]:
    """A provider at the call's microversion. There are no nested ones: each is its own root."""
    path = f"/resource_providers/{provider.id}"
    links = [{"rel": "self", "href": href(path)}]
    links += [
        {"rel": rel, "href": href(f"{path}/{rel}")} for rel, since in LINKS if call.version >= since
    ]
    body: dict[str, Any] = {
        "uuid": provider.id,
        "name": provider.name,
        "generation": provider.generation,
        "links": links,
    }
    if call.version >= VERSION_TREE:
        body |= {"parent_provider_uuid": None, "root_provider_uuid": provider.id}
    return body


def index(call: Call) -> object:
    """All providers, or those that are asked for."""
    asked = tests(call)
    name, id = call.one("name"), call.one("uuid")
    if name is not None:
        asked.append(lambda provider: provider.name == name)
    if id is not None:
        wanted = checked_uuid(id, "uuid")
        asked.append(lambda provider: provider.id == wanted)
    matching = [each for each in call.providers() if all(test(each) for test in asked)]
    return {"resource_providers": [view(call, provider) for provider in matching]}


def show(call: Call) -> object:
    """One provider."""
    return view(call, call.provider())


def entry(inventory: Inventory) -> dict[str, Any]:
    """An inventory as placement writes it."""
    return {
        "total": inventory.total,
        "reserved": inventory.reserved,
        "min_unit": 1,
        "max_unit": inventory.unit_max,
        "step_size": 1,
        "allocation_ratio": inventory.allocation_ratio,
    }


def inventories(call: Call) -> object:
    """What a provider has."""
    provider = call.provider()
    return {
        "resource_provider_generation": provider.generation,
        "inventories": {name: entry(one) for name, one in provider.host.inventories.items()},
    }


def inventory(call: Call) -> object:
    """What a provider has of one class."""
    provider, name = call.provider(), call.params["name"]
    if name not in provider.host.inventories:
        raise not_found(f"No inventory of class {name} for {provider.id}")
    found = entry(provider.host.inventories[name])
    return {**found, "resource_provider_generation": provider.generation}


def usages(call: Call) -> object:
    """How much of each class is allocated."""
    provider = call.provider()
    return {
        "resource_provider_generation": provider.generation,
        "usages": provider.usages,
    }


def aggregates(call: Call) -> object:
    """The host aggregates that it is in."""
    provider = call.provider()
    body: dict[str, Any] = {"aggregates": sorted(provider.aggregates)}
    if call.version >= VERSION_AGGREGATE_GENERATION:
        body["resource_provider_generation"] = provider.generation
    return body


def traits(call: Call) -> object:
    """Its traits."""
    provider = call.provider()
    return {"resource_provider_generation": provider.generation, "traits": provider.traits}


def allocations(call: Call) -> object:
    """What each server holds of it."""
    provider = call.provider()
    with call.connect() as connection:
        consumers = consumers_of(connection, provider.id)
    held: dict[str, Any] = {}
    for consumer in consumers:
        held[consumer.server_id] = {"resources": consumer.resources}
        if call.version >= VERSION_CONSUMER:
            held[consumer.server_id]["consumer_generation"] = consumer.generation
    return {"resource_provider_generation": provider.generation, "allocations": held}


ALL, ONE = "/resource_providers", "/resource_providers/{provider}"
INVENTORIES, INVENTORY = f"{ONE}/inventories", f"{ONE}/inventories/{{name}}"
HOSTS = (
    "Resource providers are the compute hosts: a host makes its own when it registers, and it "
    "goes when the host's compute service is deleted."
)
REPORTS = "The host's own agent alone reports what it has."
GROUPS = "A provider's aggregates are the host aggregates that its host is in; change those."

OPERATIONS = (
    Operation(
        "GET",
        ALL,
        index,
        parameters=(
            *(Parameter("name"), Parameter("uuid")),
            *(MEMBER_OF, RESOURCES, IN_TREE, REQUIRED),
        ),
    ),
    refused("POST", ALL, HOSTS),
    Operation("GET", ONE, show),
    refused("PUT", ONE, HOSTS),
    refused("DELETE", ONE, HOSTS),
    Operation("GET", INVENTORIES, inventories),
    refused("POST", INVENTORIES, REPORTS),
    refused("PUT", INVENTORIES, REPORTS),
    refused("DELETE", INVENTORIES, REPORTS, since=5),
    Operation("GET", INVENTORY, inventory),
    refused("PUT", INVENTORY, REPORTS),
    refused("DELETE", INVENTORY, REPORTS),
    Operation("GET", f"{ONE}/usages", usages),
    Operation("GET", f"{ONE}/aggregates", aggregates, since=1),
    refused("PUT", f"{ONE}/aggregates", GROUPS, since=1),
    Operation("GET", f"{ONE}/traits", traits, since=6),
    refused("PUT", f"{ONE}/traits", REPORTS, since=6),
    refused("DELETE", f"{ONE}/traits", REPORTS, since=6),
    Operation("GET", f"{ONE}/allocations", allocations),
)
