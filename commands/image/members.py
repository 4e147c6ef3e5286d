"""Share an image with other projects, one by one; each answers for itself."""

from __future__ import annotations

from typing import Annotated

from commands.decision import Decision, accept, decides, refuse
from commands.image.rules import MEMBERS_MAX, unknown
from events.image.attributes import ImageId
from events.image.image import Image
from events.image.sharing import ImageShareAnswered, ImageShared, ImageUnshared, Member
from events.message import Command


class ShareImage(Command, frozen=True, kw_only=True):
    """Offer an image to a project."""

    image_id: ImageId
    member: Member


class AnswerShare(Command, frozen=True, kw_only=True):
    """Accept or reject an offered image, or leave it pending."""

    image_id: ImageId
    member: Member
    status: Annotated[str, "pending, accepted or rejected."]


class UnshareImage(Command, frozen=True, kw_only=True):
    """Stop sharing an image with a project."""

    image_id: ImageId
    member: Member


@decides(ShareImage, aggregate="image", key="image_id")
def share(image: Image | None, command: ShareImage, at: int) -> Decision:
    """Only an image of visibility shared takes members, each once."""
    if image is None:
        return unknown(command.image_id)
    if image.visibility != "shared":
        return refuse(403, "forbidden", "Only shared images have members.")
    if command.member in image.members:
        return refuse(
            409,
            "conflictingRequest",
            f"The target member {command.member} is already associated with image "
            f"{image.image_id}.",
        )
    if len(image.members) >= MEMBERS_MAX:
        return refuse(
            413,
            "overLimit",
            "The limit has been exceeded on the number of allowed image members for this image. "
            f"Attempted: {len(image.members) + 1}, Maximum: {MEMBERS_MAX}",
        )
    return accept(ImageShared(at=at, image_id=image.image_id, member=command.member))


@decides(AnswerShare, aggregate="image", key="image_id")
def answer(image: Image | None, command: AnswerShare, at: int) -> Decision:
    """The project must be a member; the same answer again changes nothing."""
    if image is None:
        return unknown(command.image_id)
    known = image.members.get(command.member)
    if known is None:
        return _no_member(command.image_id, command.member)
    if known.status == command.status:
        return accept()
    return accept(
        ImageShareAnswered(
            at=at, image_id=image.image_id, member=command.member, status=command.status
        )
    )


@decides(UnshareImage, aggregate="image", key="image_id")
def unshare(image: Image | None, command: UnshareImage, at: int) -> Decision:
    """The project must be a member."""
    if image is None:
        return unknown(command.image_id)
    if command.member not in image.members:
        return _no_member(command.image_id, command.member)
    return accept(ImageUnshared(at=at, image_id=image.image_id, member=command.member))


def _no_member(image_id: str, member: str) -> Decision:
    return refuse(
        404, "itemNotFound", f"{member} not found in the member list of the image {image_id}."
    )
