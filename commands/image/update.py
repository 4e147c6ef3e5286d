"""Change an image's record by a JSON patch: all of it or nothing.

The API has checked each change by itself (known operation, value of the key's type, allowed to
the caller); here they are applied in order to the state, and what differs at the end are the
facts. So a patch that ends where it began leaves no trace.

Source: Glance API reference, "Update image"; RFC 6902.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec

from commands.decision import Decision, accept, decides, refuse
from commands.image.rules import over_quota, unknown
from events.image import attributes as a
from events.image.image import QUEUED, Image
from events.message import Command, Event, Text

BASE = (
    "name",
    "visibility",
    "protected",
    "os_hidden",
    "disk_format",
    "container_format",
    "min_disk",
    "min_ram",
    "owner",
    "tags",
)
"""The record's own writable keys; every other key is an additional property."""

FORMATS = ("disk_format", "container_format")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of the patch."""

    op: Annotated[str, "add, replace or remove."]
    key: Annotated[str, "Name of the record's key or of an additional property."]
    value: Annotated[Text, "The value as JSON text; empty for remove."] = ""


class UpdateImage(Command, frozen=True, kw_only=True):
    """Change an image's record."""

    image_id: a.ImageId
    changes: Annotated[list[Change], "Operations in the order of the request."]


@decides(UpdateImage, aggregate="image", key="image_id")
def update(image: Image | None, command: UpdateImage, at: int) -> Decision:
    """409 where a property to replace or remove is missing, 403 for formats once data came."""
    if image is None:
        return unknown(command.image_id)
    base = _base(image)
    properties = dict(image.properties)
    for change in command.changes:
        refusal = _apply(image, base, properties, change)
        if refusal is not None:
            return refusal
    base["tags"] = sorted(set(base["tags"]))
    refusal = over_quota(properties, base["tags"], image)
    return refusal or accept(*_facts(image, base, properties, at))


def _base(image: Image) -> dict[str, Any]:
    return {
        "name": image.name,
        "visibility": image.visibility,
        "protected": image.protected,
        "os_hidden": image.hidden,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "min_disk": image.min_disk_gib,
        "min_ram": image.min_ram_mib,
        "owner": image.owner,
        "tags": sorted(image.tags),
    }


def _apply(
    image: Image, base: dict[str, Any], properties: dict[str, str], change: Change
) -> Decision | None:
    key = change.key
    if key in FORMATS and image.status != QUEUED:
        return refuse(403, "forbidden", f"Attribute {key} can be only replaced for a queued image.")
    if key in BASE:
        base[key] = msgspec.json.decode(change.value)
        return None
    if change.op != "add" and key not in properties:
        return refuse(409, "conflictingRequest", f"Property {key} does not exist.")
    if change.op == "remove":
        del properties[key]
    else:
        properties[key] = msgspec.json.decode(change.value, type=str)
    return None


def _facts(
    image: Image, base: Mapping[str, Any], properties: Mapping[str, str], at: int
) -> Iterator[Event]:
    before, id = _base(image), image.image_id

    def differ(*keys: str) -> bool:
        return any(base[key] != before[key] for key in keys)

    if differ("name"):
        yield a.ImageRenamed(at=at, image_id=id, name=base["name"])
    if differ("visibility"):
        yield a.ImageVisibilityChanged(at=at, image_id=id, visibility=base["visibility"])
    if differ("protected"):
        yield a.ImageProtectionChanged(at=at, image_id=id, protected=base["protected"])
    if differ("os_hidden"):
        yield a.ImageHidingChanged(at=at, image_id=id, hidden=base["os_hidden"])
    if differ(*FORMATS):
        yield a.ImageFormatsChosen(
            at=at,
            image_id=id,
            disk_format=base["disk_format"],
            container_format=base["container_format"],
        )
    if differ("min_disk", "min_ram"):
        yield a.ImageMinimaChanged(
            at=at, image_id=id, min_disk_gib=base["min_disk"], min_ram_mib=base["min_ram"]
        )
    if differ("owner"):
        yield a.ImageOwnerChanged(at=at, image_id=id, owner=base["owner"])
    if differ("tags"):
        yield a.ImageTagged(at=at, image_id=id, tags=base["tags"])
    if properties != image.properties:
        yield a.ImagePropertiesChanged(
            at=at,
            image_id=id,
            set={k: v for k, v in properties.items() if image.properties.get(k) != v},
            removed=sorted(k for k in image.properties if k not in properties),
        )
