"""Import of staged data, and what clients ask about it.

Only glance-direct is offered: the methods that fetch from elsewhere would make this server open
connections on a tenant's word.
"""

from __future__ import annotations

import falcon

from api.http.body import read_object, write_json
from api.image.means import Means
from commands.image.import_image import ImportImage

METHODS = ("glance-direct",)
BODY_BYTES_MAX = 64 * 1024


class Import:
    """``/v2/images/{image_id}/import``."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def on_post(self, req: falcon.Request, resp: falcon.Response, image_id: str) -> None:
        """202; the image is active by then."""
        image = self._means.permitted(req, image_id, "import_image")
        body = read_object(req, BODY_BYTES_MAX)
        method = body.get("method")
        name = method.get("name") if isinstance(method, dict) else None
        if not isinstance(name, str):
            raise falcon.HTTPBadRequest(description="Import request requires a 'method' field.")
        if name not in METHODS:
            raise falcon.HTTPBadRequest(
                description=f"Import method {name!r} is not enabled; enabled: {', '.join(METHODS)}"
            )
        if body.get("stores") or body.get("all_stores"):
            raise falcon.HTTPBadRequest(description="This site has one image store only.")
        self._means.send(req, ImportImage(image_id=image.id, method=name), image.id)
        resp.status = 202


class Tasks:
    """``/v2/images/{image_id}/tasks``: imports end before they are answered, so there are none."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def on_get(self, req: falcon.Request, resp: falcon.Response, image_id: str) -> None:
        """An empty list."""
        self._means.find(req, image_id)
        write_json(resp, {"tasks": []})


class ImportMethods:
    """``/v2/info/import``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The import methods."""
        methods = {
            "description": "Import methods available.",
            "type": "array",
            "value": list(METHODS),
        }
        write_json(resp, {"import-methods": methods})


class Usage:
    """``/v2/info/usage``: nothing, as in a Glance without unified limits."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """An empty object."""
        write_json(resp, {"usage": {}})
