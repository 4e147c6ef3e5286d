"""Allocation candidates: which hosts have room for what is asked, and how much of it.

One group of resources on one provider: hosts here have no nested providers that several
(granular) groups could be spread over.
"""

from __future__ import annotations

from typing import Any

from api.placement.asked import IN_TREE, MEMBER_OF, REQUIRED, parse_resources, tests
from api.placement.errors import MISSING_VALUE, bad_request
from api.placement.operation import Call, Operation, Parameter
from projections.fleet.providers import ProviderRow

VERSION_MAPPED, VERSION_TRAITS, VERSION_ALL_CLASSES, VERSION_TREE = 12, 17, 27, 29
VERSION_MAPPINGS = 34


def index(call: Call) -> object:
    """Hosts that the resources fit on now; both parts are empty when there are none."""
    text = call.one("resources")
    if text is None:
        raise bad_request(
            "Invalid query string parameters: 'resources' is a required property", MISSING_VALUE
        )
    resources = parse_resources(call, text)
    asked = tests(call)
    matching = [each for each in call.providers() if all(test(each) for test in asked)]
    fitting = matching[: _limit(call)]
    return {
        "allocation_requests": [_request(call, each, resources) for each in fitting],
        "provider_summaries": {each.id: _summary(call, each, resources) for each in fitting},
    }


def _limit(call: Call) -> int | None:
    text = call.one("limit")
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise bad_request(f"Invalid query string parameters: '{text}' is not a positive integer")
    return int(text)


def _request(call: Call, provider: ProviderRow, resources: dict[str, int]) -> dict[str, Any]:
    if call.version < VERSION_MAPPED:
        held = {"resource_provider": {"uuid": provider.id}, "resources": resources}
        return {"allocations": [held]}
    body: dict[str, Any] = {"allocations": {provider.id: {"resources": resources}}}
    if call.version >= VERSION_MAPPINGS:
        body["mappings"] = {"": [provider.id]}
    return body


def _summary(call: Call, provider: ProviderRow, resources: dict[str, int]) -> dict[str, Any]:
    classes = {
        name: {"capacity": inventory.capacity, "used": provider.host.used(name)}
        for name, inventory in provider.host.inventories.items()
        if call.version >= VERSION_ALL_CLASSES or name in resources
    }
    body: dict[str, Any] = {"resources": classes}
    if call.version >= VERSION_TRAITS:
        body["traits"] = provider.traits
    if call.version >= VERSION_TREE:
        body |= {"parent_provider_uuid": None, "root_provider_uuid": provider.id}
    return body


OPERATIONS = (
    Operation(
        "GET",
        "/allocation_candidates",
        index,
        since=10,
        parameters=(
            Parameter("resources"),
            Parameter("limit", since=16),
            Parameter("required", since=17, repeated_since=REQUIRED.repeated_since),
            Parameter("member_of", since=21, repeated_since=MEMBER_OF.repeated_since),
            Parameter("in_tree", since=31, repeated_since=IN_TREE.repeated_since),
            Parameter("group_policy", since=25),
        ),
    ),
)
