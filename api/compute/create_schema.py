"""The body of ``POST /servers`` at each microversion."""

from __future__ import annotations

from typing import Any

from api.compute import fields
from api.compute.validation import Body, Property, Schema, object_of
from events.bounds import INT4_MAX

TEXT: Schema = {"type": "string"}
BOOT_INDEX: Schema = {
    **fields.whole(-INT4_MAX, "^-?[0-9]+$"),
    "type": ["integer", "string", "null"],
}

NETWORK = object_of(
    (
        Property("uuid", {"type": "string"}, until=36),
        Property("uuid", fields.UUID, since=37),
        Property("port", {"type": ["string", "null"], "pattern": fields.UUID["pattern"]}),
        Property("fixed_ip", TEXT),
        Property("tag", fields.TAG, 32, 36),
        Property("tag", fields.TAG, 42),
    )
)

BLOCK_DEVICE = object_of(
    (
        Property("uuid", {"type": "string", "minLength": 1, "maxLength": 255}),
        Property(
            "source_type", {"type": "string", "enum": ["blank", "image", "snapshot", "volume"]}
        ),
        Property("destination_type", {"type": "string", "enum": ["local", "volume"]}),
        Property("boot_index", BOOT_INDEX),
        Property("volume_size", fields.POSITIVE),
        Property("device_name", {"type": ["string", "null"], "maxLength": 255}),
        Property("delete_on_termination", fields.BOOLEAN),
        Property("guest_format", {"type": ["string", "null"], "maxLength": 255}),
        Property("device_type", {"type": ["string", "null"], "maxLength": 255}),
        Property("disk_bus", {"type": ["string", "null"], "maxLength": 255}),
        Property("no_device", {}),
        Property("virtual_name", {"type": "string", "maxLength": 255}),
        Property("tag", fields.TAG, 32, 32),
        Property("tag", fields.TAG, 42),
        Property("volume_type", {"type": "string", "minLength": 1, "maxLength": 255}, 67),
    )
)

HINTS: Schema = {
    "type": "object",
    "properties": {
        "group": fields.UUID,
        "different_host": {"type": ["string", "array"], "items": fields.UUID},
        "same_host": {"type": ["string", "array"], "items": fields.UUID},
        "query": {"type": ["string", "object"]},
        "target_cell": {**fields.NAME},
        "different_cell": {"type": ["array", "string"], "items": TEXT},
        "build_near_host_ip": {"type": "string"},
        "cidr": {"type": "string", "pattern": "^/[0-9a-f.:]+$"},
    },
    "additionalProperties": True,
}

PERSONALITY: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"path": TEXT, "contents": {"type": "string", "format": "base64"}},
        "additionalProperties": False,
    },
}
SECURITY_GROUPS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 255}},
        "additionalProperties": False,
    },
}
LEGACY_BLOCK_DEVICES: Schema = {"type": "array", "items": {"type": "object"}}


def networks(version: int) -> Schema:
    """A list, or from 2.37 on also ``none`` or ``auto``."""
    listed: Schema = {"type": "array", "items": NETWORK(version)}
    if version < 37:
        return listed
    return {**listed, "type": ["array", "string"], "pattern": "^(none|auto)$"}


FIELDS = (
    Property("name", fields.NAME, required_since=1),
    Property(
        "flavorRef",
        {"type": ["string", "integer"], "minLength": 1, "minimum": 0, "format": "printable"},
        required_since=1,
    ),
    Property("imageRef", {"type": "string", "pattern": f"^$|{fields.UUID['pattern']}"}),
    Property("adminPass", TEXT),
    Property("metadata", fields.METADATA),
    Property("OS-DCF:diskConfig", fields.DISK_CONFIG),
    Property("accessIPv4", fields.IPV4),
    Property("accessIPv6", fields.IPV6),
    Property("personality", PERSONALITY, 1, 56),
    Property("availability_zone", fields.NAME),
    Property("block_device_mapping", LEGACY_BLOCK_DEVICES),
    Property("config_drive", fields.BOOLEAN),
    Property("key_name", fields.NAME),
    Property("min_count", fields.COUNT),
    Property("max_count", fields.COUNT),
    Property("return_reservation_id", fields.BOOLEAN),
    Property("security_groups", SECURITY_GROUPS),
    Property("user_data", {"type": "string", "maxLength": 65535, "format": "base64"}),
    Property("description", fields.DESCRIPTION, 19),
    Property("tags", fields.TAGS, 52),
    Property("trusted_image_certificates", fields.CERTIFICATES, 63),
    Property("host", fields.FQDN, 74),
    Property("hypervisor_hostname", fields.FQDN, 74),
    Property("hostname", fields.HOSTNAME, 90, 93),
    Property("hostname", fields.FQDN, 94),
)


def build(version: int) -> Schema:
    """The schema of the whole body."""
    server = object_of(FIELDS)(version)
    properties: dict[str, Any] = server["properties"]
    properties["networks"] = networks(version)
    properties["block_device_mapping_v2"] = {"type": "array", "items": BLOCK_DEVICE(version)}
    if version >= 37:
        server["required"].append("networks")
    return {
        "type": "object",
        "properties": {
            "server": server,
            "os:scheduler_hints": HINTS,
            "OS-SCH-HNT:scheduler_hints": HINTS,
        },
        "required": ["server"],
        "additionalProperties": False,
    }


BODY = Body(build)
