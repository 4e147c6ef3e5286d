"""How a server looks at each microversion, and to whom.

The projection holds the body at the newest microversion for an admin (``document``); a view
takes away what a microversion or a caller does not see, and puts in links, which depend on the
request's URL. What is taken away follows from the table ``FIELDS`` alone. User data is in no table:
who sees it gets it from the store of secrets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec
import orjson

from api.compute.fleet import host_statuses
from api.compute.operation import Call
from api.compute.secret_store import SecretStore, SecretsUnreadable
from api.policy import allowed
from projections.compute.server_queries import ServerRow, Viewed
from projections.compute.servers import SECRETS

SHOW, DETAIL, UPDATE = "show", "detail", "update"

USER_DATA = "OS-EXT-SRV-ATTR:user_data"
HIDDEN = 1000
"""A microversion that never comes: not for everyone."""


class Field(msgspec.Struct, frozen=True):
    """A field of the view: from which microversion all see it, and from which admins do."""

    name: str
    since: int
    admin_since: int = HIDDEN


FIELDS = (
    Field("OS-EXT-SRV-ATTR:host", HIDDEN, 1),
    Field("OS-EXT-SRV-ATTR:instance_name", HIDDEN, 1),
    Field("OS-EXT-SRV-ATTR:hypervisor_hostname", HIDDEN, 1),
    Field("OS-EXT-SRV-ATTR:hostname", 90, 3),
    Field("OS-EXT-SRV-ATTR:kernel_id", HIDDEN, 3),
    Field("OS-EXT-SRV-ATTR:launch_index", HIDDEN, 3),
    Field("OS-EXT-SRV-ATTR:ramdisk_id", HIDDEN, 3),
    Field("OS-EXT-SRV-ATTR:reservation_id", HIDDEN, 3),
    Field("OS-EXT-SRV-ATTR:root_device_name", HIDDEN, 3),
    Field(USER_DATA, HIDDEN, 3),
    Field("locked", 9),
    Field("description", 19),
    Field("tags", 26),
    Field("trusted_image_certificates", 63),
    Field("server_groups", 71),
    Field("locked_reason", 73),
    Field("pinned_availability_zone", 96),
    Field("scheduler_hints", 100),
)
"""All other fields are there for everyone from 2.1 on."""

NOT_IN_UPDATE = frozenset(
    {
        "OS-EXT-AZ:availability_zone",
        "config_drive",
        "key_name",
        "OS-SRV-USG:launched_at",
        "OS-SRV-USG:terminated_at",
        "security_groups",
        "OS-EXT-STS:vm_state",
        "OS-EXT-STS:task_state",
        "OS-EXT-STS:power_state",
        "os-extended-volumes:volumes_attached",
        *(field.name for field in FIELDS if field.name.startswith("OS-EXT-SRV-ATTR")),
    }
)
"""What the answer to PUT leaves out before 2.75."""

FLAVOR_EMBEDDED = 47
IMAGE_PROPERTIES = 98
HOST_STATUS = 16
FULL_UPDATE = 75


@lru_cache(maxsize=1024)
def hidden(version: int, admin: bool, kind: str) -> tuple[str, ...]:
    """The fields that this view leaves out."""
    names = {
        field.name
        for field in FIELDS
        if version < (min(field.since, field.admin_since) if admin else field.since)
    }
    if kind == DETAIL:
        names.add("server_groups")
    if kind == UPDATE and version < FULL_UPDATE:
        names |= NOT_IN_UPDATE
    return tuple(sorted(names))


class ServerViews:
    """The views of one request."""

    def __init__(self, call: Call, kind: str, hosts: Iterable[str | None] = ()) -> None:
        rule = "os_compute_api:os-extended-server-attributes"
        self._version = call.version
        self._admin = allowed(call.caller, rule)
        self._hidden: Collection[str] = hidden(call.version, self._admin, kind)
        self._link, self._bookmark = call.link("/servers/"), call.bookmark("/servers/")
        self._images = call.bookmark("/images/")
        self._flavors = call.bookmark("/flavors/")
        self._secrets = SecretStore(call.services.settings.secrets_path)
        self._statuses: Mapping[str, str] | None = None
        if (
            call.version >= HOST_STATUS
            and (kind != UPDATE or call.version >= FULL_UPDATE)
            and allowed(call.caller, "os_compute_api:servers:show:host_status")
        ):
            self._statuses = host_statuses(call.services.engine, {h for h in hosts if h})

    def view(self, row: ServerRow | Viewed) -> dict[str, Any]:
        """The body of one server."""
        shown: dict[str, Any] = orjson.loads(row.document)
        kept = shown.pop(SECRETS)
        if USER_DATA not in self._hidden:
            shown[USER_DATA] = self._user_data(row.id, kept)
        for name in self._hidden:
            shown.pop(name, None)
        shown["links"] = self.links(row.id)
        image = shown["image"]
        if image:
            image["links"] = [{"rel": "bookmark", "href": self._images + image["id"]}]
            if self._version < IMAGE_PROPERTIES:
                del image["properties"]
        if self._version < FLAVOR_EMBEDDED:
            link = {"rel": "bookmark", "href": self._flavors + quote(row.flavor_id)}
            shown["flavor"] = {"id": row.flavor_id, "links": [link]}
        if self._statuses is not None:
            shown["host_status"] = self._statuses.get(row.host, "UNKNOWN") if row.host else ""
        fault = shown.get("fault")
        if fault and not self._admin and fault["code"] == 500:
            del fault["details"]
        return shown

    def _user_data(self, server_id: str, kept: dict[str, Any] | None) -> str | None:
        """What the server was given; null when it is gone, as with a deleted server."""
        if kept is None or not kept["user_data"]:
            return None
        try:
            found = self._secrets.open(kept["secrets_id"], server_id)
        except SecretsUnreadable:
            return None
        return found.user_data

    def links(self, server_id: str) -> list[dict[str, str]]:
        """Self and bookmark."""
        return [
            {"rel": "self", "href": self._link + server_id},
            {"rel": "bookmark", "href": self._bookmark + server_id},
        ]


def links(call: Call, server_id: str) -> list[dict[str, str]]:
    """Self and bookmark of one server."""
    return [
        {"rel": "self", "href": call.link(f"/servers/{server_id}")},
        {"rel": "bookmark", "href": call.bookmark(f"/servers/{server_id}")},
    ]
