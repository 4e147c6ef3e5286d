"""Import staged data (method glance-direct): it becomes the image's data at once.

The data is in the store already and was hashed and inspected when it was staged, so there is
nothing left to do in the background; the other methods are refused by the API.
"""

from __future__ import annotations

from typing import Annotated

from commands.decision import Decision, accept, decides, refuse
from commands.image.formats import contradiction
from commands.image.rules import conflict, unknown
from events.image.attributes import ImageId
from events.image.content import ImageImported
from events.image.image import UPLOADING, Image
from events.message import Command


class ImportImage(Command, frozen=True, kw_only=True):
    """Make the staged data the image's data."""

    image_id: ImageId
    method: Annotated[str, "Import method that was asked for, e.g. glance-direct."]


@decides(ImportImage, aggregate="image", key="image_id")
def import_staged(image: Image | None, command: ImportImage, at: int) -> Decision:
    """Needs staged data that is what the formats, set by now, say."""
    if image is None:
        return unknown(command.image_id)
    if image.status != UPLOADING or image.staged is None:
        return conflict(image, "importing")
    if image.disk_format is None or image.container_format is None:
        unset = "container_format" if image.container_format is None else "disk_format"
        return refuse(400, "badRequest", f"{unset} needs to be set before import")
    reason = contradiction(image.disk_format, image.container_format, image.staged.detected_formats)
    if reason is not None:
        return refuse(400, "badRequest", reason)
    return accept(ImageImported(at=at, image_id=image.image_id, method=command.method))
