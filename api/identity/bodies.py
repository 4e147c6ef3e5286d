"""Request bodies: one envelope, a JSON schema, and what is kept of unknown properties."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import falcon
import jsonschema_rs
import orjson

from api.http.body import read_object
from commands.identity.rules import Map, Text

NAME = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"\S"}
PROJECT_NAME = {**NAME, "maxLength": 64}
ID = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": r"^[a-zA-Z0-9-]+$"}
NULLABLE_ID = {**ID, "type": ["string", "null"]}
TEXT = {"type": ["string", "null"]}
FLAG = {"type": "boolean"}
TAG = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^,/]*$"}
TAGS = {"type": "array", "items": TAG, "uniqueItems": True, "maxItems": 80}
PASSWORD = {"type": ["string", "null"], "maxLength": 4096}
IMMUTABLE = {"type": "object", "properties": {"immutable": {"type": ["boolean", "null"]}}}

KEPT_NAME_CHARS_MAX = 255
NESTING_MARGIN = 8
"""Levels that must be left of what orjson writes (254): properties lie in documents, those in
answers."""


class Form:
    """What a body must be: ``{envelope: {…}}`` with these properties; others are let through."""

    def __init__(
        self, envelope: str, properties: Mapping[str, Any], required: Collection[str] = ()
    ) -> None:
        self._envelope = envelope
        self._properties = frozenset(properties)
        self._validator = Schema(
            {
                "type": "object",
                "required": [envelope],
                "properties": {
                    envelope: {
                        "type": "object",
                        "properties": dict(properties),
                        "required": list(required),
                    }
                },
            }
        )

    def read(self, req: falcon.Request, limit: int) -> dict[str, Any]:
        """The envelope's content. Raises 400 and what ``read_object`` raises."""
        body = read_object(req, limit)
        self._validator.check(body)
        content: dict[str, Any] = body[self._envelope]  # type: ignore[assignment]
        return content

    def extra(self, content: Mapping[str, Any]) -> dict[str, str]:
        """The properties that the API does not know, as JSON texts. Raises 400."""
        kept = {}
        for name, value in content.items():
            if name in self._properties or name in ("id", "links", "extra"):
                continue
            if len(name) > KEPT_NAME_CHARS_MAX:
                raise falcon.HTTPBadRequest(description="The name of a property is too long.")
            kept[name] = _json(value)
        return kept


def _json(value: object) -> str:
    """A value as JSON text that can lie within other JSON. Raises 400."""
    wrapped = value
    for _ in range(NESTING_MARGIN):
        wrapped = [wrapped]
    try:
        orjson.dumps(wrapped)
    except orjson.JSONEncodeError:
        raise falcon.HTTPBadRequest(description="A property is nested too deeply.") from None
    return orjson.dumps(value).decode()


class Schema:
    """A compiled JSON schema, with Keystone's words for what does not fit."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        # Masked: a wrong value is not repeated, as it may be a secret.
        self._validator = jsonschema_rs.Draft7Validator(dict(schema), mask="The value")

    def check(self, body: object) -> None:
        """Raises 400, saying where and why."""
        error = next(iter(self._validator.iter_errors(body)), None)
        if error is None:
            return
        where = "/".join(str(part) for part in error.instance_path)
        reason = f"Invalid input for field '{where}': {error.message}" if where else error.message
        raise falcon.HTTPBadRequest(description=reason)


def text_of(content: Mapping[str, Any], name: str) -> Text | None:
    """A nullable text's new value, if it is given."""
    return Text(value=content[name]) if name in content else None


def merged(old: Mapping[str, Any], known: Collection[str], new: Mapping[str, str]) -> Map | None:
    """The free properties after a partial change: those given replace those there were."""
    if not new:
        return None
    kept = {k: orjson.dumps(v).decode() for k, v in old.items() if k not in known}
    return Map(values={**kept, **new})


def immutable_of(content: Mapping[str, Any]) -> bool | None:
    """``options.immutable``, if it is given; null lifts it."""
    options = content.get("options") or {}
    return bool(options["immutable"]) if "immutable" in options else None
