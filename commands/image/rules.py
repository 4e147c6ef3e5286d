"""What all decisions about images share: Glance's limits and sentences.

Source: Glance's configuration reference (image_property_quota, image_tag_quota,
image_member_quota) and image API reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from commands.decision import Decision, refuse
from events.image.image import Image

PROPERTIES_MAX = 128
TAGS_MAX = 128
MEMBERS_MAX = 128
PROPERTIES_BYTES_MAX = 256 * 1024
"""All names and values together: an event must fit a record of the log (1 MiB in Kafka)."""

VISIBILITIES = ("public", "community", "shared", "private")


def unknown(image_id: str) -> Decision:
    """404: there is no such image (any more)."""
    return refuse(404, "itemNotFound", f"No image found with ID {image_id}")


def conflict(image: Image, wanted: str) -> Decision:
    """409: the status does not allow it. ``wanted`` continues "Image status transition"."""
    return refuse(
        409,
        "conflictingRequest",
        f"Image status transition from {image.status} to {wanted} is not allowed",
    )


def over_quota(
    properties: Mapping[str, str], tags: Sequence[str], before: Image | None = None
) -> Decision | None:
    """413 when there are too many properties or tags, unless there were no fewer ``before``:
    an image over a lowered limit can still be changed, as long as it does not grow."""
    had = len(before.properties) if before else 0
    if len(properties) > max(PROPERTIES_MAX, had):
        return refuse(413, "overLimit", _limit("properties", len(properties), PROPERTIES_MAX))
    had = len(before.tags) if before else 0
    if len(tags) > max(TAGS_MAX, had):
        return refuse(413, "overLimit", _limit("tags", len(tags), TAGS_MAX))
    total = sum(len(k.encode()) + len(v.encode()) for k, v in properties.items())
    if total > PROPERTIES_BYTES_MAX:
        return refuse(413, "overLimit", _limit("property bytes", total, PROPERTIES_BYTES_MAX))
    return None


def _limit(what: str, attempted: int, limit: int) -> str:
    return (
        f"The limit has been exceeded on the number of allowed image {what}. "
        f"Attempted: {attempted}, Maximum: {limit}"
    )
