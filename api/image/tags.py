"""One tag of an image."""

from __future__ import annotations

import falcon

from api.image.means import Means
from commands.image.tags import AddTag, RemoveTag

CHARS_MAX = 255


class Tag:
    """``/v2/images/{image_id}/tags/{tag}``."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def on_put(self, req: falcon.Request, resp: falcon.Response, image_id: str, tag: str) -> None:
        """204."""
        image = self._means.permitted(req, image_id, "modify_image")
        if len(tag) > CHARS_MAX or "\0" in tag:
            raise falcon.HTTPBadRequest(
                description=f"A tag has at most {CHARS_MAX} characters, none of them NUL."
            )
        self._means.send(req, AddTag(image_id=image.id, tag=tag), image.id)
        resp.status = 204

    def on_delete(
        self, req: falcon.Request, resp: falcon.Response, image_id: str, tag: str
    ) -> None:
        """204; 404 when the image has no such tag."""
        image = self._means.permitted(req, image_id, "modify_image")
        self._means.send(req, RemoveTag(image_id=image.id, tag=tag), image.id)
        resp.status = 204
