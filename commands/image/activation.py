"""Deactivate an image (nobody but an administrator gets its data) and reactivate it.

Asking for what already is changes nothing and is accepted.
"""

from __future__ import annotations

from commands.decision import Decision, accept, decides, refuse
from commands.image.rules import unknown
from events.image.attributes import ImageId
from events.image.content import ImageDeactivated, ImageReactivated
from events.image.image import ACTIVE, DEACTIVATED, Image
from events.message import Command


class DeactivateImage(Command, frozen=True, kw_only=True):
    """Withhold an active image's data."""

    image_id: ImageId


class ReactivateImage(Command, frozen=True, kw_only=True):
    """Give out a deactivated image's data again."""

    image_id: ImageId


@decides(DeactivateImage, aggregate="image", key="image_id")
def deactivate(image: Image | None, command: DeactivateImage, at: int) -> Decision:
    """Only an active image can be deactivated."""
    if image is None:
        return unknown(command.image_id)
    if image.status == DEACTIVATED:
        return accept()
    if image.status != ACTIVE:
        return _refused(image, "deactivate", DEACTIVATED)
    return accept(ImageDeactivated(at=at, image_id=image.image_id))


@decides(ReactivateImage, aggregate="image", key="image_id")
def reactivate(image: Image | None, command: ReactivateImage, at: int) -> Decision:
    """Only a deactivated image can be reactivated."""
    if image is None:
        return unknown(command.image_id)
    if image.status == ACTIVE:
        return accept()
    if image.status != DEACTIVATED:
        return _refused(image, "reactivate", ACTIVE)
    return accept(ImageReactivated(at=at, image_id=image.image_id))


def _refused(image: Image, verb: str, wanted: str) -> Decision:
    return refuse(
        409,
        "conflictingRequest",
        f"Not allowed to {verb} image in status '{image.status}' (wanted: '{wanted}')",
    )
