"""Ids that an image had and that no other may have: clients choose them.

Kept for ever, a few words for each deleted image: an id that came back would mix the images, and
the data, of two projects.
"""

from __future__ import annotations

import msgspec

from events.aggregate import Aggregate, register
from events.image.attributes import ImageDeleted
from events.message import Event


class UsedImageId(msgspec.Struct, frozen=True):
    """The id of a deleted image."""

    image_id: str


def evolve(used: UsedImageId | None, event: Event) -> UsedImageId | None:
    """The state after ``event``."""
    return UsedImageId(event.image_id) if isinstance(event, ImageDeleted) else used


register(Aggregate("used_image_id", "image", UsedImageId, evolve))
