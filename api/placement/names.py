"""Resource classes and traits: the standard ones, and those that hosts report beside them."""

from __future__ import annotations

import os_resource_classes
import os_traits

from api.placement.errors import bad_request, not_found
from api.placement.operation import Call, Operation, Parameter, href, refused
from projections.fleet.providers import DISABLED

REPORTED = "is known from the hosts' own reports: it cannot be made or deleted here."


def known_classes(call: Call) -> list[str]:
    """All resource classes: the standard ones in their order, then others."""
    reported = {name for provider in call.providers() for name in provider.host.inventories}
    standard: list[str] = list(os_resource_classes.STANDARDS)
    return standard + sorted(reported - set(standard))


def associated_traits(call: Call) -> set[str]:
    """Traits that some host has."""
    return {trait for provider in call.providers() for trait in provider.traits}


def known_traits(call: Call) -> set[str]:
    """All traits."""
    return {*os_traits.get_traits(), DISABLED, *associated_traits(call)}


def _class_view(name: str) -> dict[str, object]:
    return {"name": name, "links": [{"rel": "self", "href": href(f"/resource_classes/{name}")}]}


def classes(call: Call) -> object:
    """All resource classes."""
    return {"resource_classes": [_class_view(name) for name in known_classes(call)]}


def show_class(call: Call) -> object:
    """One resource class."""
    name = call.params["name"]
    if name not in known_classes(call):
        raise not_found(f"No such resource class {name}.")
    return _class_view(name)


def traits(call: Call) -> object:
    """All traits, those of some names, or those that are (not) in use."""
    found = known_traits(call)
    names, associated = call.one("name"), call.one("associated")
    if names is not None:
        if names.startswith("in:"):
            found &= set(names[3:].split(","))
        elif names.startswith("startswith:"):
            found = {trait for trait in found if trait.startswith(names[11:])}
        else:
            raise bad_request(
                "Badly formatted name parameter. Expected name query string parameter in form: "
                f'?name=[in|startswith]:[name1,name2|prefix]. Got: "{names}"'
            )
    if associated is not None:
        if associated.lower() not in ("true", "false"):
            raise bad_request(
                'The query parameter "associated" only accepts boolean values: "true" or "false".'
                f' Got: "{associated}"'
            )
        used = associated_traits(call)
        found = found & used if associated.lower() == "true" else found - used
    return {"traits": sorted(found)}


def show_trait(call: Call) -> object:
    """204 when there is such a trait."""
    name = call.params["name"]
    if name not in known_traits(call):
        raise not_found(f"No such trait(s): {name}.")
    return None


CLASSES, CLASS = "/resource_classes", "/resource_classes/{name}"
TRAITS, TRAIT = "/traits", "/traits/{name}"
NO_CLASS, NO_TRAIT = f"A resource class {REPORTED}", f"A trait {REPORTED}"

OPERATIONS = (
    Operation("GET", CLASSES, classes, since=2),
    refused("POST", CLASSES, NO_CLASS, since=2),
    Operation("GET", CLASS, show_class, since=2),
    refused("PUT", CLASS, NO_CLASS, since=2),
    refused("DELETE", CLASS, NO_CLASS, since=2),
    Operation("GET", TRAITS, traits, 6, (Parameter("name"), Parameter("associated"))),
    Operation("GET", TRAIT, show_trait, since=6),
    refused("PUT", TRAIT, NO_TRAIT, since=6),
    refused("DELETE", TRAIT, NO_TRAIT, since=6),
)
