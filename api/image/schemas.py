"""The JSON schemas that clients can ask for; those of the image also check what they send.

Source: Glance API reference, "Show image schema" and its siblings.
"""

from __future__ import annotations

from typing import Any

import falcon

from api.http.body import write_json

UUID_PATTERN = (
    "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
)
INT_MAX = 2**31 - 1

DISK_FORMATS = (
    "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop",
)  # fmt: skip
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")

Schema = dict[str, Any]


def _text(length: int, **more: object) -> Schema:
    return {"type": "string", "maxLength": length, **more}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": ["null", schema["type"]]}


def _of(names: tuple[str, ...]) -> Schema:
    return {"type": ["null", "string"], "enum": [None, *names]}


WRITABLE: Schema = {
    "name": _or_null(_text(255, description="Descriptive name for the image")),
    "visibility": {
        "type": "string",
        "enum": ["community", "public", "private", "shared"],
        "description": "Scope of image accessibility",
    },
    "protected": {"type": "boolean", "description": "If true, image will not be deletable."},
    "os_hidden": {"type": "boolean", "description": "If true, image is left out of lists."},
    "owner": _or_null(_text(255, description="Owner of the image")),
    "disk_format": {**_of(DISK_FORMATS), "description": "Format of the disk"},
    "container_format": {**_of(CONTAINER_FORMATS), "description": "Format of the container"},
    "min_disk": {
        "type": "integer",
        "minimum": 0,
        "maximum": INT_MAX,
        "description": "Amount of disk space (in GB) required to boot image.",
    },
    "min_ram": {
        "type": "integer",
        "minimum": 0,
        "maximum": INT_MAX,
        "description": "Amount of ram (in MB) required to boot image.",
    },
    "tags": {
        "type": "array",
        "items": _text(255, minLength=1),
        "description": "List of strings related to the image",
    },
}
READ_ONLY: Schema = {
    "status": {
        "type": "string",
        "enum": [
            "queued", "saving", "active", "killed", "deleted", "uploading", "importing",
            "pending_delete", "deactivated",
        ],
    },
    "size": {"type": ["null", "integer"]},
    "virtual_size": {"type": ["null", "integer"]},
    "checksum": {"type": ["null", "string"], "maxLength": 32},
    "os_hash_algo": {"type": ["null", "string"], "maxLength": 64},
    "os_hash_value": {"type": ["null", "string"], "maxLength": 128},
    "created_at": {"type": "string"},
    "updated_at": {"type": "string"},
    "self": {"type": "string"},
    "file": {"type": "string"},
    "schema": {"type": "string"},
    "direct_url": {"type": "string"},
}  # fmt: skip
PROPERTY: Schema = _text(65535)

IMAGE: Schema = {
    "name": "image",
    "properties": {
        "id": {"type": "string", "pattern": UUID_PATTERN},
        **WRITABLE,
        **{key: {**schema, "readOnly": True} for key, schema in READ_ONLY.items()},
    },
    "additionalProperties": PROPERTY,
    "links": [
        {"rel": "self", "href": "{self}"},
        {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}
CREATE: Schema = {
    "type": "object",
    "properties": {"id": {"type": "string", "pattern": UUID_PATTERN}, **WRITABLE},
    "additionalProperties": PROPERTY,
}
MEMBER: Schema = {
    "name": "member",
    "properties": {
        "member_id": {"type": "string", "description": "An identifier for the image member"},
        "image_id": {"type": "string", "pattern": UUID_PATTERN},
        "status": {"type": "string", "enum": ["pending", "accepted", "rejected"]},
        "created_at": {"type": "string"},
        "updated_at": {"type": "string"},
        "schema": {"type": "string", "readOnly": True},
    },
}
TASK: Schema = {
    "name": "task",
    "properties": {
        "id": {"type": "string", "pattern": UUID_PATTERN},
        "type": {"type": "string"},
        "status": {"type": "string", "enum": ["pending", "processing", "success", "failure"]},
        "owner": {"type": "string"},
        "created_at": {"type": "string"},
        "updated_at": {"type": "string"},
        "schema": {"type": "string"},
    },
}


def _list_of(name: str, item: Schema) -> Schema:
    page = [{"rel": "describedby", "href": "{schema}"}]
    if name != "members":
        page += [{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}]
    keys: Schema = {name: {"type": "array", "items": item}, "schema": {"type": "string"}}
    if name != "members":
        keys |= {"first": {"type": "string"}, "next": {"type": "string"}}
    return {"name": name, "properties": keys, "links": page}


DOCUMENTS: dict[str, Schema] = {
    "image": IMAGE,
    "images": _list_of("images", IMAGE),
    "member": MEMBER,
    "members": _list_of("members", MEMBER),
    "task": TASK,
    "tasks": _list_of("tasks", TASK),
}


class Schemas:
    """``GET /v2/schemas/{schema}``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, schema: str) -> None:
        """The schema. 404 when there is none of that name."""
        if schema not in DOCUMENTS:
            raise falcon.HTTPNotFound(description="The resource could not be found.")
        write_json(resp, DOCUMENTS[schema])
