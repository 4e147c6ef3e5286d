"""The projects that an image is shared with.

The owner sees all members, a member sees himself; only the member project answers an offer.
"""

from __future__ import annotations

from typing import Any

import falcon

from api.http.body import read_object, write_json
from api.http.errors import accepted
from api.image import policy
from api.image.means import Means, caller, is_admin
from commands.image.members import AnswerShare, ShareImage, UnshareImage
from projections.image.queries import ImageRow
from projections.image.rows import timestamp

BODY_BYTES_MAX = 64 * 1024
CHARS_MAX = 255
STATUSES = ("pending", "accepted", "rejected")


def _visible(req: falcon.Request, image: ImageRow) -> dict[str, dict[str, Any]]:
    who = caller(req)
    if is_admin(who) or who.project_id == image.owner:
        return image.members
    return {name: known for name, known in image.members.items() if name == who.project_id}


def _unknown(image: ImageRow, member_id: str) -> falcon.HTTPNotFound:
    return falcon.HTTPNotFound(
        description=f"{member_id} not found in the member list of the image {image.id}."
    )


def _document(image: ImageRow, member_id: str) -> dict[str, object]:
    known = image.members.get(member_id)
    if known is None:  # a change that was accepted may not show yet
        raise _unknown(image, member_id)
    return {
        "member_id": member_id,
        "image_id": image.id,
        "status": known["status"],
        "created_at": timestamp(known["created_at"]),
        "updated_at": timestamp(known["updated_at"]),
        "schema": "/v2/schemas/member",
    }


def _text(body: dict[str, object], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= CHARS_MAX or "\0" in value:
        raise falcon.HTTPBadRequest(
            description=f"{key!r} must be a string of 1 to {CHARS_MAX} characters."
        )
    return value


class Members:
    """``/v2/images/{image_id}/members``."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def on_get(self, req: falcon.Request, resp: falcon.Response, image_id: str) -> None:
        """The members that the caller may see."""
        image = self._means.find(req, image_id)
        members = [_document(image, name) for name in sorted(_visible(req, image))]
        write_json(resp, {"members": members, "schema": "/v2/schemas/members"})

    def on_post(self, req: falcon.Request, resp: falcon.Response, image_id: str) -> None:
        """The new member, pending."""
        image = self._means.permitted(req, image_id, "add_member")
        member_id = _text(read_object(req, BODY_BYTES_MAX), "member")
        command = ShareImage(image_id=image.id, member=member_id)
        self._means.send(req, command, image.id)
        accepted(req)
        write_json(resp, _document(self._means.find(req, image_id), member_id))


class Member:
    """``/v2/images/{image_id}/members/{member_id}``."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, image_id: str, member_id: str
    ) -> None:
        """The member."""
        image = self._means.find(req, image_id)
        write_json(resp, _document(image, self._known(req, image, member_id)))

    def on_put(
        self, req: falcon.Request, resp: falcon.Response, image_id: str, member_id: str
    ) -> None:
        """The member with his answer."""
        image = self._means.find(req, image_id)
        status = _text(read_object(req, BODY_BYTES_MAX), "status")
        if status not in STATUSES:
            raise falcon.HTTPBadRequest(
                description=f"'status' must be one of {', '.join(STATUSES)}."
            )
        self._known(req, image, member_id)
        policy.enforce(caller(req), "modify_member", member_id)
        command = AnswerShare(image_id=image.id, member=member_id, status=status)
        self._means.send(req, command, image.id)
        accepted(req)
        write_json(resp, _document(self._means.find(req, image_id), member_id))

    def on_delete(
        self, req: falcon.Request, resp: falcon.Response, image_id: str, member_id: str
    ) -> None:
        """204."""
        image = self._means.permitted(req, image_id, "delete_member")
        command = UnshareImage(image_id=image.id, member=member_id)
        self._means.send(req, command, image.id)
        resp.status = 204

    def _known(self, req: falcon.Request, image: ImageRow, member_id: str) -> str:
        if member_id not in _visible(req, image):
            raise _unknown(image, member_id)
        return member_id
