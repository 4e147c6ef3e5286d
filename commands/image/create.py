"""Record an image; its data comes later.

An id is used once: the API refuses one that any image, deleted ones too, ever had; here only
the partition's live images can be seen.
"""

from __future__ import annotations

from typing import Annotated

from commands.decision import Decision, accept, decides, refuse
from commands.image.rules import mixed_formats, over_quota
from events.image.attributes import (
    ContainerFormat,
    DiskFormat,
    ImageCreated,
    ImageId,
    MinDiskGib,
    MinRamMib,
    Name,
    Visibility,
)
from events.image.image import Image
from events.message import Command, ProjectId


class CreateImage(Command, frozen=True, kw_only=True):
    """Record an image that has no data yet."""

    image_id: ImageId
    owner: ProjectId
    name: Name
    visibility: Visibility
    protected: Annotated[bool, "Whether deletion is to be refused."]
    hidden: Annotated[bool, "Whether it is left out of default lists."]
    disk_format: DiskFormat
    container_format: ContainerFormat
    min_disk_gib: MinDiskGib
    min_ram_mib: MinRamMib
    tags: Annotated[list[str], "Tags; duplicates are dropped."]
    properties: Annotated[dict[str, str], "Additional properties by name."]


@decides(CreateImage, aggregate="image", key="image_id")
def create(image: Image | None, command: CreateImage, at: int) -> Decision:
    """Accepted unless the id is taken, a quota exceeded or the formats do not go together."""
    if image is not None:
        return refuse(409, "conflictingRequest", f"Image ID {command.image_id} already exists!")
    tags = sorted(set(command.tags))
    refusal = over_quota(command.properties, tags) or mixed_formats(
        command.disk_format, command.container_format
    )
    return refusal or accept(
        ImageCreated(
            at=at,
            image_id=command.image_id,
            project_id=command.owner,
            owner=command.owner,
            name=command.name,
            visibility=command.visibility,
            protected=command.protected,
            hidden=command.hidden,
            disk_format=command.disk_format,
            container_format=command.container_format,
            min_disk_gib=command.min_disk_gib,
            min_ram_mib=command.min_ram_mib,
            tags=tags,
            properties=command.properties,
        )
    )
