"""What every resource of the registry can do: find what is named, read what is posted.

Needs no token, as the registry's clients (kcat, Connect, ksqlDB, Flink) send none of ours:
schemas are public, they lie in the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import falcon
import orjson

from api.http.body import read_bytes
from api.registry.errors import (
    MEDIA_TYPE,
    bad_schema,
    bad_version,
    no_schema,
    no_subject,
    no_version,
)
from api.registry.shelf import Shelf
from api.registry.subjects import Registered, Subject, Subjects
from schemas.catalog import NotASchema

LATEST = ("latest", "-1")
VERSION_MAX = (1 << 31) - 1


class Open:
    """A resource for everybody. What it cannot do by any method is refused in one way."""

    public_methods: ClassVar[Sequence[str]] = falcon.COMBINED_METHODS

    def __init__(self, shelf: Shelf, body_bytes_max: int) -> None:
        self._shelf = shelf
        self._body_bytes_max = body_bytes_max

    @property
    def _subjects(self) -> Subjects:
        return self._shelf.subjects()

    def subject(self, name: str) -> Subject:
        """The subject of that name. Raises 404."""
        subject = self._subjects.get(name)
        if subject is None:
            raise no_subject(name)
        return subject

    def version(self, name: str, version: str) -> Registered:
        """That version of that subject, or its latest. Raises 404 or 422."""
        if version not in LATEST and not _is_version(version):
            raise bad_version(version)
        versions = self.subject(name).versions
        if version in LATEST:
            return versions[-1]
        for known in versions:
            if known.version == int(version):
                return known
        raise no_version(version)

    def of_id(self, id: int) -> Sequence[Registered]:
        """The versions with that id. Raises 404."""
        versions = self._subjects.of_id(id)
        if not versions:
            raise no_schema(id)
        return versions

    def posted(self, req: falcon.Request, subject: Subject) -> Registered | None:
        """The version of ``subject`` that the body shows. Raises 400, 413 or 422."""
        try:
            body: Any = orjson.loads(read_bytes(req, self._body_bytes_max))
        except orjson.JSONDecodeError as error:
            raise falcon.HTTPBadRequest(description=f"Malformed JSON: {error}") from None
        text = body.get("schema") if isinstance(body, dict) else None
        if not isinstance(text, str):
            raise bad_schema("the body has no text named schema")
        if (kind := body.get("schemaType") or "AVRO") != "AVRO":
            raise bad_schema(f"schemas of type {kind} are not known here")
        try:
            return self._subjects.same(subject, text)
        except NotASchema as error:
            raise bad_schema(str(error)) from None


def _is_version(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 11 and 0 < int(text) <= VERSION_MAX


def answer(resp: falcon.Response, body: object) -> None:
    """Answer ``body`` in the registry's content type."""
    resp.content_type = MEDIA_TYPE
    resp.data = orjson.dumps(body)


def shown(version: Registered) -> dict[str, Any]:
    """A version in full."""
    return {
        "subject": version.subject,
        "version": version.version,
        "id": version.id,
        "schema": version.schema_text,
    }
