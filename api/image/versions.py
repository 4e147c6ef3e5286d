"""Which versions there are. Clients only want one entry of major version 2."""

from __future__ import annotations

import falcon

from api.http.body import write_json
from api.image.means import Means

CURRENT = "v2.17"
SUPPORTED = tuple(f"v2.{minor}" for minor in (15, *range(13, -1, -1)))


class Versions:
    """``GET /image`` (300: a choice), ``/versions`` (200) and every unknown version (300)."""

    public_methods = ("GET",)

    def __init__(self, means: Means, status: int) -> None:
        links = [{"rel": "self", "href": f"{means.url}/v2/"}]
        self._status = status
        self._body = {
            "versions": [
                {"id": id, "status": "CURRENT" if id == CURRENT else "SUPPORTED", "links": links}
                for id in (CURRENT, *SUPPORTED)
            ]
        }

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str = "") -> None:
        """The versions."""
        write_json(resp, self._body, self._status)


class NoDocument:
    """``GET /v2``: Glance has no document there; clients then ask the root."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """404."""
        raise falcon.HTTPNotFound(description="The resource could not be found.")


class Healthcheck:
    """``GET /healthcheck``."""

    public_methods = ("GET",)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200."""
        resp.content_type = "text/plain"
        resp.text = "OK"
