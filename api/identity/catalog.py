"""The service catalog: what is served where, as the settings say it.

The URL of each service is the form that all clients can follow: identity and compute with their
version (one GET of it gives the microversions), image and placement without (clients ask for
the versions, and append theirs).
"""

from __future__ import annotations

import hashlib
from typing import Any

import falcon

from api.http.body import write_json
from api.identity.directory import Directory, Resource, caller_of, not_found
from api.identity.listings import linked, matches, write_list
from api.identity.policy import authorize
from api.services import ApiSettings

SERVICES = (
    ("compute", "nova", "/compute/v2.1"),
    ("identity", "keystone", "/identity/v3"),
    ("image", "glance", "/image"),
    ("placement", "placement", "/placement"),
)
INTERFACES = ("public", "internal", "admin")


def catalog(settings: ApiSettings) -> list[dict[str, Any]]:
    """The catalog as tokens carry it."""
    return [
        {
            "id": service["id"],
            "type": service["type"],
            "name": service["name"],
            "endpoints": [
                {key: made[key] for key in ("id", "interface", "region", "region_id", "url")}
                for made in endpoints(settings)
                if made["service_id"] == service["id"]
            ],
        }
        for service in services()
    ]


def services() -> list[dict[str, Any]]:
    """The services; their ids are functions of their types."""
    return [
        {"id": _id(type), "type": type, "name": name, "description": "", "enabled": True}
        for type, name, _ in SERVICES
    ]


def endpoints(settings: ApiSettings) -> list[dict[str, Any]]:
    """The endpoints: one URL for all three interfaces."""
    return [
        {
            "id": _id(f"{type}/{interface}"),
            "service_id": _id(type),
            "interface": interface,
            "region": settings.region,
            "region_id": settings.region,
            "url": f"{settings.public_url}{path}",
            "enabled": True,
        }
        for type, _, path in SERVICES
        for interface in INTERFACES
    ]


def regions(settings: ApiSettings) -> list[dict[str, Any]]:
    """The one region."""
    return [{"id": settings.region, "description": "", "parent_region_id": None}]


def _id(name: str) -> str:
    return hashlib.sha256(f"chronova/{name}".encode()).hexdigest()[:32]


class Offer(Resource):
    """A list that follows from the settings: services, endpoints or regions."""

    def __init__(self, directory: Directory, singular: str, filters: tuple[str, ...]) -> None:
        super().__init__(directory)
        self._singular = singular
        self._filters = dict.fromkeys(filters, str)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """All, or those that the query names."""
        authorize(caller_of(req), f"list_{self._singular}s")
        wanted = matches(req, self._filters)
        found = [
            item
            for item in offered(self._singular, self.directory.settings)
            if all(item[match.column] == match.value for match in wanted)
        ]
        write_list(self.directory, req, resp, f"{self._singular}s", found)


class Offered(Resource):
    """One service, endpoint or region."""

    def __init__(self, directory: Directory, singular: str) -> None:
        super().__init__(directory)
        self._singular = singular

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        """By its id."""
        authorize(caller_of(req), f"list_{self._singular}s")
        for item in offered(self._singular, self.directory.settings):
            if item["id"] == id:
                made = linked(self.directory, f"{self._singular}s", item)
                write_json(resp, {self._singular: made})
                return
        raise not_found(self._singular, id)


def offered(singular: str, settings: ApiSettings) -> list[dict[str, Any]]:
    """All of a kind."""
    if singular == "service":
        return services()
    return endpoints(settings) if singular == "endpoint" else regions(settings)
