"""Every number that a client may send has a bound, and it is that of the field it goes into."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api.compute.microversion import LATEST
from api.compute.quotas import NETWORK
from api.compute.routes import operations
from api.identity import domains, groups, projects, roles, users
from api.image.schemas import WRITABLE
from commands.identity.project import CreateProject
from events.bounds import INT4_MAX
from tests.api.compute.world import World

Schema = dict[str, Any]
Place = tuple[str, str]
"""The route, and the path in its body."""

OTHERS = {
    ("POST /flavors", "flavor.id"): "an id: becomes a text of its digits",
    ("POST /flavors", "flavor.rxtx_factor"): "single precision, as Nova's",
    ("POST /flavors/{flavor_id}/os-extra_specs", "extra_specs.*"): "becomes a text",
    ("PUT /flavors/{flavor_id}/os-extra_specs/{spec}", "*"): "becomes a text",
    ("POST /servers", "server.flavorRef"): "an id: becomes a text, and is looked for",
    ("POST /servers", "server.min_count"): "compared with the quota in its own words",
    ("POST /servers", "server.max_count"): "compared with the quota in its own words",
    ("POST /servers", "server.block_device_mapping_v2.no_device"): "asked only whether it is true",
}
"""Numbers that go into no field of 31 bits, and why."""


def bodies() -> Iterator[tuple[str, Schema]]:
    """Every body's schema, of the compute API at each microversion."""
    for row in operations():
        for version in range(row.since, min(row.until, LATEST) + 1):
            if row.body is not None:
                yield f"{row.method} {row.path}", row.body._build(version)
    yield "image", {"properties": WRITABLE}
    for module in (domains, groups, projects, roles, users):
        yield module.__name__, {"properties": module.PROPERTIES}


def leaves(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """What the schema says of each value in a body, by its path."""
    yield path, schema
    for names in ("properties", "patternProperties"):
        for name, inner in schema.get(names, {}).items():
            name = name if names == "properties" else "*"
            yield from leaves(inner, f"{path}.{name}" if path else name)
    for names in ("items", "additionalProperties", "contains"):
        if isinstance(inner := schema.get(names), dict):
            yield from leaves(inner, path)
    for names in ("oneOf", "anyOf", "allOf"):
        for inner in schema.get(names, ()):
            yield from leaves(inner, path)


def takes_numbers(schema: Schema) -> bool:
    """Whether the schema lets a number pass, or says nothing of kinds at all."""
    kinds = schema.get("type", ["number"])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    within = {"enum", "const", "oneOf", "anyOf", "allOf", "properties", "required"} & set(schema)
    return bool({"integer", "number"} & set(kinds)) and not within


def takes_digits(schema: Schema) -> bool:
    """Whether a text of digits passes as a number."""
    return "string" in schema.get("type", "") and schema.get("pattern", "").endswith("[0-9]+$")


def bounded(schema: Schema) -> bool:
    """Whether what passes fits 31 bits and a sign, as a number and as a text."""
    least, most = schema.get("minimum", -(2**63)), schema.get("maximum", 2**63)
    texts = "string" not in schema.get("type", "") or schema.get("format") == "whole"
    short = schema.get("maxLength", 99) <= 18
    return (least >= -INT4_MAX and most <= INT4_MAX and texts) or short


def numbers() -> dict[Place, list[Schema]]:
    found: dict[Place, list[Schema]] = {}
    for route, body in bodies():
        for path, schema in leaves(body):
            if takes_numbers(schema) or takes_digits(schema):
                found.setdefault((route, path), []).append(schema)
    return found


def test_every_number_has_the_bound_of_a_record() -> None:
    found = numbers()
    assert len(found) > 30
    unbounded = {place for place, schemas in found.items() if not all(map(bounded, schemas))}
    assert unbounded == OTHERS.keys()


FLAVOR = {"name": "f", "ram": 1, "vcpus": 1, "disk": 0}


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("name", ["ram", "vcpus", "disk", "OS-FLV-EXT-DATA:ephemeral", "swap"])
def test_the_largest_is_kept_and_one_more_is_refused(
    world: World, name: str, as_text: bool
) -> None:
    kind = str if as_text else int
    taken = {"flavor": {**FLAVOR, "name": f"{name} {as_text}", name: kind(INT4_MAX)}}
    made = world.post("/flavors", taken, token="admin")
    assert made.status_code == 200, made.text
    shown = world.get(f"/flavors/{made.json['flavor']['id']}", token="admin").json["flavor"]
    assert int(shown[name]) == INT4_MAX
    more = {"flavor": {**FLAVOR, "name": "g", name: kind(INT4_MAX + 1)}}
    answer = world.post("/flavors", more, token="admin")
    assert answer.status_code == 400
    message = answer.json["badRequest"]["message"]
    assert message.startswith(f"Invalid input for field/attribute {name}. Value: 2147483648. ")


QUOTAS = [path.removeprefix("quota_set.") for route, path in numbers() if "quota-sets" in route]


@pytest.fixture(scope="module")
def project(world: World) -> str:
    """A project of its own, whose quota others do not use."""
    project_id = "7" * 32
    made = CreateProject(
        project_id=project_id, domain_id="default", parent_id="default", project_name="numbers"
    )
    world.bus.send(made, "default")
    return project_id


@pytest.mark.parametrize("name", QUOTAS)
def test_the_largest_limit_is_kept_and_one_more_is_refused(
    world: World, project: str, name: str
) -> None:
    path = f"/os-quota-sets/{project}"
    kept = world.put(path, {"quota_set": {name: INT4_MAX}}, token="admin", version="2.1")
    assert kept.status_code == 200, kept.text
    assert kept.json["quota_set"][name] == (-1 if name in NETWORK else INT4_MAX)
    answer = world.put(path, {"quota_set": {name: INT4_MAX + 1}}, token="admin", version="2.1")
    assert answer.status_code == 400
    message = answer.json["badRequest"]["message"]
    assert message.startswith(f"Invalid input for field/attribute {name}. Value: 2147483648. ")
