"""Version discovery: ``GET /identity`` and ``GET /identity/v3``."""

from __future__ import annotations

from typing import Any

import falcon

from api.http.body import write_json
from api.identity.directory import Resource


class Versions(Resource):
    """The versions there are: one."""

    public_methods = ("GET", "HEAD")

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """300, as Keystone answers even with one choice."""
        resp.set_header("Location", f"{self.directory.url}/")
        body = {"versions": {"values": [version(self.directory.url)]}}
        write_json(resp, body, status=300)


class Version(Resource):
    """The one version."""

    public_methods = ("GET", "HEAD")

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200."""
        write_json(resp, {"version": version(self.directory.url)})


def version(url: str) -> dict[str, Any]:
    """Keystone's entry of v3 for an API at ``url``."""
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{url}/"}],
        "media-types": [
            {
                "base": "application/json",
                "type": "application/vnd.openstack.identity-v3+json",
            }
        ],
    }
