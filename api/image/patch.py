"""JSON patches, in both forms that Glance takes, as the changes of a command.

v2.1 is RFC 6902: ``{"op": "replace", "path": "/name", "value": "x"}``; v2.0 its early draft:
``{"replace": "/name", "value": "x"}``. Paths are JSON pointers of one level (RFC 6901).
"""

from __future__ import annotations

import re

import falcon
import orjson

from api.http.body import parse_json
from api.image.attributes import check_key, checked_value
from commands.image.update import BASE, Change

V21 = "application/openstack-images-v2.1-json-patch"
V20 = "application/openstack-images-v2.0-json-patch"
ACCEPTED = f"{V21}, {V20}"

OPERATIONS = ("add", "replace", "remove")
_BAD_ESCAPE = re.compile(r"~(?![01])")


def changes_of(media_type: str, body: bytes) -> list[Change]:
    """The changes that the patch asks for, each checked by itself. Raises 400, 403 or 415."""
    media_type = media_type.partition(";")[0].strip().lower()
    if media_type not in (V21, V20):
        raise falcon.HTTPUnsupportedMediaType(
            description=f"The media type must be one of: {ACCEPTED}",
            headers={"Accept-Patch": ACCEPTED},
        )
    patch = parse_json(body)
    if not isinstance(patch, list):
        raise _bad("Request body must be a JSON array of operation objects.")
    return [_change(step, media_type == V20) for step in patch]


def _change(step: object, draft: bool) -> Change:
    if not isinstance(step, dict):
        raise _bad("Operations must be JSON objects.")
    op, path = _draft_operation(step) if draft else (step.get("op"), step.get("path"))
    if op not in OPERATIONS:
        raise _bad(f"Operations must be one of: {', '.join(OPERATIONS)}.")
    key = _key(path)
    check_key(key)
    if op == "remove":
        if key in BASE:
            raise falcon.HTTPForbidden(description=f"Property {key} may not be removed.")
        return Change(op=op, key=key)
    if "value" not in step:
        raise _bad(f"Operation '{op}' requires a member named 'value'.")
    value = checked_value(key, step["value"])
    if key == "owner" and not value:
        raise _bad("'owner' cannot be empty.")
    return Change(op=op, key=key, value=orjson.dumps(value).decode())


def _draft_operation(step: dict[str, object]) -> tuple[str | None, object]:
    named = [op for op in step if op != "value"]
    if len(named) != 1:
        raise _bad("Operation objects must contain exactly one member that names the operation.")
    return named[0], step[named[0]]


def _key(path: object) -> str:
    if not isinstance(path, str):
        raise _bad("Unable to find 'path' in JSON Schema change.")
    if not path.startswith("/"):
        raise _bad(f"Pointer `{path}` does not start with '/'.")
    pointer = path[1:]
    if not pointer or "/" in pointer:
        raise _bad(f"Invalid JSON pointer for this resource: '{path}'")
    if _BAD_ESCAPE.search(pointer):
        raise _bad(f"Pointer `{path}` contains '~' not part of a recognized escape sequence.")
    return pointer.replace("~1", "/").replace("~0", "~")


def _bad(detail: str) -> falcon.HTTPBadRequest:
    return falcon.HTTPBadRequest(description=detail)
