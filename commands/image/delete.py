"""Delete an image, in any state, also while data is arriving.

The data goes after the decision, by whoever serves the store; should that process die first,
the store's sweep finds the image deleted and removes what is left.
"""

from __future__ import annotations

from commands.decision import Decision, accept, decides, refuse
from commands.image.rules import unknown
from events.image.attributes import ImageDeleted, ImageId
from events.image.image import Image
from events.message import Command


class DeleteImage(Command, frozen=True, kw_only=True):
    """Delete an image and its data."""

    image_id: ImageId


@decides(DeleteImage, aggregate="image", key="image_id")
def delete(image: Image | None, command: DeleteImage, at: int) -> Decision:
    """Refused while the image is protected."""
    if image is None:
        return unknown(command.image_id)
    if image.protected:
        return refuse(
            403, "forbidden", f"Image {command.image_id} is protected and cannot be deleted."
        )
    return accept(ImageDeleted(at=at, image_id=command.image_id))
