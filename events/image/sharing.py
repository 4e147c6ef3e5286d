"""Facts about the projects that an image is shared with."""

from __future__ import annotations

from typing import Annotated

from events.image.attributes import ImageFact

Member = Annotated[str, "Id of the project that the image is shared with."]


class ImageShared(ImageFact, frozen=True, kw_only=True):
    """The image was offered to a project, which has not answered yet."""

    member: Member


class ImageShareAnswered(ImageFact, frozen=True, kw_only=True):
    """The member project answered the offer: accepted images are in its lists."""

    member: Member
    status: Annotated[str, "pending, accepted or rejected."]


class ImageUnshared(ImageFact, frozen=True, kw_only=True):
    """The image is no longer shared with a project."""

    member: Member
