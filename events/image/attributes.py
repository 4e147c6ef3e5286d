"""Facts about an image's record: that it exists, what it is called, who may see it.

None of them says anything about the image's data (``events.image.content``).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from events.message import Amount, Event, ProjectId

ImageId = Annotated[str, "UUID of the image."]
Name = Annotated[str | None, "Name of the image; not unique."]
Visibility = Annotated[str, "public, community, shared or private."]
DiskFormat = Annotated[str | None, "Format of the disk (raw, qcow2, ...), null until known."]
ContainerFormat = Annotated[str | None, "Format around the disk (bare, ...), null until known."]
MinDiskGib = Annotated[Amount, "Smallest root disk that the image boots from, in GiB."]
MinRamMib = Annotated[Amount, "Smallest memory that the image boots with, in MiB."]
Tags = Annotated[list[str], "All tags, without duplicates, sorted."]


class ImageFact(Event, frozen=True, kw_only=True):
    """What every fact about an image has."""

    abstract = True
    folds: ClassVar[tuple[tuple[str, str], ...]] = (("image", "image_id"),)
    image_id: ImageId


class ImageCreated(ImageFact, frozen=True, kw_only=True):
    """An image was recorded; it has no data yet and is queued."""

    project_id: Annotated[str, "Project that owned the image first."]
    owner: ProjectId
    name: Name
    visibility: Visibility
    protected: Annotated[bool, "Whether deletion is refused."]
    hidden: Annotated[bool, "Whether it is left out of default lists (os_hidden)."]
    disk_format: DiskFormat
    container_format: ContainerFormat
    min_disk_gib: MinDiskGib
    min_ram_mib: MinRamMib
    tags: Tags
    properties: Annotated[dict[str, str], "Additional properties by name."]


class ImageRenamed(ImageFact, frozen=True, kw_only=True):
    """The image has another name."""

    name: Name


class ImageVisibilityChanged(ImageFact, frozen=True, kw_only=True):
    """Others see the image in another way."""

    visibility: Visibility


class ImageProtectionChanged(ImageFact, frozen=True, kw_only=True):
    """Deletion is refused, or no longer."""

    protected: Annotated[bool, "Whether deletion is refused from now on."]


class ImageHidingChanged(ImageFact, frozen=True, kw_only=True):
    """The image is left out of default lists, or no longer."""

    hidden: Annotated[bool, "Whether it is left out from now on."]


class ImageFormatsChosen(ImageFact, frozen=True, kw_only=True):
    """The formats of data that is still to come were fixed."""

    disk_format: DiskFormat
    container_format: ContainerFormat


class ImageMinimaChanged(ImageFact, frozen=True, kw_only=True):
    """The image needs other minima of its flavor."""

    min_disk_gib: MinDiskGib
    min_ram_mib: MinRamMib


class ImageOwnerChanged(ImageFact, frozen=True, kw_only=True):
    """An administrator gave the image to another project. Its history stays where it is."""

    owner: ProjectId


class ImageTagged(ImageFact, frozen=True, kw_only=True):
    """The image has these tags now, and no others."""

    tags: Tags


class ImagePropertiesChanged(ImageFact, frozen=True, kw_only=True):
    """Additional properties were set or removed."""

    set: Annotated[dict[str, str], "Properties that were added or got another value."]
    removed: Annotated[list[str], "Names of properties that are gone, sorted."]


class ImageDeleted(ImageFact, frozen=True, kw_only=True):
    """The image is gone; its data may be removed once no other image has the same. Its id is never
    used again."""

    folds = (("image", "image_id"), ("used_image_id", "image_id"))
