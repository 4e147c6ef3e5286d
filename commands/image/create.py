"""Record an image; its data comes later.

An id is used once, of all projects and for ever: commands about it go to one partition, which
remembers the ids of deleted images too.
"""

from __future__ import annotations

from typing import Annotated

from commands.decision import Decision, View, accept, decides_on_view, refuse
from commands.image.rules import over_quota
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


@decides_on_view(CreateImage)
def create(view: View, command: CreateImage, at: int) -> Decision:
    """Accepted unless the id was ever used, or a quota is exceeded.

    Any formats go together, as in version 2 of Glance's API: the data is checked when it comes.
    """
    if any(view.get(kind, command.image_id) is not None for kind in ("image", "used_image_id")):
        return refuse(409, "conflictingRequest", f"Image ID {command.image_id} already exists!")
    refusal = over_quota(command.properties, sorted(set(command.tags)))
    return refusal or accept(created(command, at))


def created(command: CreateImage, at: int) -> ImageCreated:
    """The fact that follows when it is accepted."""
    return ImageCreated(
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
        tags=sorted(set(command.tags)),
        properties=command.properties,
    )
