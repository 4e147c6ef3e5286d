"""The version documents, which clients read to learn the range of microversions.

They need no token. keystoneauth and gophercloud rely on ``version`` and ``min_version``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import falcon

from api.compute.faults import not_found
from api.http.body import write_json
from api.services import Services

MEDIA_TYPE = "application/vnd.openstack.compute+json"

ENTRIES: dict[str, dict[str, str]] = {
    "v2.0": {
        "id": "v2.0",
        "status": "DEPRECATED",
        "version": "",
        "min_version": "",
        "updated": "2025-07-04T12:00:00Z",
    },
    "v2.1": {
        "id": "v2.1",
        "status": "CURRENT",
        "version": "2.104",
        "min_version": "2.1",
        "updated": "2013-07-23T11:33:21Z",
    },
}
PATHS = {"v2.0": "v2", "v2.1": "v2.1"}


def entry(public_url: str, version: str) -> dict[str, Any]:
    """One version as it stands in the list."""
    href = f"{public_url}/compute/{PATHS[version]}/"
    return {**ENTRIES[version], "links": [{"rel": "self", "href": href}]}


def document(public_url: str, version: str) -> dict[str, Any]:
    """One version as it stands alone."""
    shown = entry(public_url, version)
    shown["links"].append(
        {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
    )
    shown["media-types"] = media_types(version)
    return {"version": shown}


def choices(public_url: str) -> list[dict[str, Any]]:
    """What is offered to a client that named no version."""
    return [
        {
            "id": version,
            "status": ENTRIES[version]["status"],
            "links": entry(public_url, version)["links"],
            "media-types": media_types(version),
        }
        for version in ENTRIES
    ]


def media_types(version: str) -> list[dict[str, str]]:
    """The media types of a version."""
    number = "2" if version == "v2.0" else "2.1"
    return [{"base": "application/json", "type": f"{MEDIA_TYPE};version={number}"}]


class AllVersions:
    """``GET /compute``."""

    public_methods = ("GET",)

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """All versions."""
        write_json(resp, {"versions": [entry(self._public_url, name) for name in ENTRIES]})


class OneVersion:
    """``GET /compute/v2.1`` and ``GET /compute/v2``."""

    public_methods = ("GET",)

    def __init__(self, public_url: str, version: str) -> None:
        self._public_url = public_url
        self._version = version

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """That version."""
        write_json(resp, document(self._public_url, self._version))


class NamedVersion:
    """``GET /compute/v2.1/versions/{version}``."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str) -> None:
        """The version of that id. Raises 404."""
        if version not in ENTRIES:
            raise not_found()
        write_json(resp, document(self._public_url, version))


def routes(services: Services) -> Iterable[tuple[str, object]]:
    """Where the documents are."""
    url = services.settings.public_url
    yield "", AllVersions(url)
    yield "/v2.1", OneVersion(url, "v2.1")
    yield "/v2", OneVersion(url, "v2.0")
    yield "/v2.1/versions/{version}", NamedVersion(url)
