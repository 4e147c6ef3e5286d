"""``GET /placement``: the one version there is. Needs no token."""

from __future__ import annotations

import falcon

from api.http.body import write_json
from api.placement.microversion import LATEST, OLDEST

DOCUMENT = {
    "versions": [
        {
            "id": "v1.0",
            "min_version": f"1.{OLDEST}",
            "max_version": f"1.{LATEST}",
            "status": "CURRENT",
            "links": [{"rel": "self", "href": ""}],
        }
    ]
}


class Versions:
    """The root."""

    public_methods = ("GET",)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200."""
        write_json(resp, DOCUMENT)
