"""Add or remove a single tag; the whole list changes by an update of the image."""

from __future__ import annotations

from typing import Annotated

from commands.decision import Decision, accept, decides, refuse
from commands.image.rules import over_quota, unknown
from events.image.attributes import ImageId, ImageTagged
from events.image.image import Image
from events.message import Command

Tag = Annotated[str, "The tag, at most 255 characters."]


class AddTag(Command, frozen=True, kw_only=True):
    """Tag an image."""

    image_id: ImageId
    tag: Tag


class RemoveTag(Command, frozen=True, kw_only=True):
    """Take a tag from an image."""

    image_id: ImageId
    tag: Tag


@decides(AddTag, aggregate="image", key="image_id")
def add(image: Image | None, command: AddTag, at: int) -> Decision:
    """A tag that is there already changes nothing."""
    if image is None:
        return unknown(command.image_id)
    if command.tag in image.tags:
        return accept()
    tags = sorted({*image.tags, command.tag})
    return over_quota(image.properties, tags, image) or accept(
        ImageTagged(at=at, image_id=image.image_id, tags=tags)
    )


@decides(RemoveTag, aggregate="image", key="image_id")
def remove(image: Image | None, command: RemoveTag, at: int) -> Decision:
    """404 when the image has no such tag."""
    if image is None:
        return unknown(command.image_id)
    if command.tag not in image.tags:
        return refuse(404, "itemNotFound", f"Image {image.image_id} has no tag {command.tag!r}.")
    tags = [tag for tag in image.tags if tag != command.tag]
    return accept(ImageTagged(at=at, image_id=image.image_id, tags=tags))
