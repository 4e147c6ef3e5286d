"""Deactivate and reactivate an image."""

from __future__ import annotations

import falcon

from api.image.means import Means
from commands.image.activation import DeactivateImage, ReactivateImage

ACTIONS: dict[str, type[DeactivateImage | ReactivateImage]] = {
    "deactivate": DeactivateImage,
    "reactivate": ReactivateImage,
}


class Actions:
    """``/v2/images/{image_id}/actions/{action}``."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def on_post(
        self, req: falcon.Request, resp: falcon.Response, image_id: str, action: str
    ) -> None:
        """204."""
        command = ACTIONS.get(action)
        if command is None:
            raise falcon.HTTPNotFound(description="The resource could not be found.")
        image = self._means.permitted(req, image_id, action)
        self._means.send(req, command(image_id=image.id), image.id)
        resp.status = 204
