"""The read half of the Confluent Schema Registry's REST interface, over ``Subjects``.

Source: https://docs.confluent.io/platform/current/schema-registry/develop/api.html. Nothing can
be registered; asking to register what is known answers its id, so that a serializer with
automatic registration works.
"""

from __future__ import annotations

import falcon
import orjson

from api.registry.access import Open, answer, shown
from api.registry.errors import no_schema, read_only
from api.registry.subjects import FULL


class Root(Open):
    """``/``: clients ask it whether a registry is there."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """An empty object."""
        answer(resp, {})


class AllSubjects(Open):
    """``/subjects``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Their names, those with ``subjectPrefix`` if it is given."""
        answer(resp, self._subjects.names(req.get_param("subjectPrefix", default="")))


class OneSubject(Open):
    """``/subjects/{name}``."""

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Which version is this schema?"""
        found = self.posted(req, self.subject(name))
        if found is None:
            raise no_schema()
        answer(resp, shown(found))

    def on_delete(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Refused."""
        raise read_only(name)


class Versions(Open):
    """``/subjects/{name}/versions``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Their numbers."""
        answer(resp, [version.version for version in self.subject(name).versions])

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """The id of a schema that is known; another one is refused."""
        subject = self._subjects.get(name)
        found = self.posted(req, subject) if subject is not None else None
        if found is None:
            raise read_only(name)
        answer(resp, {"id": found.id})


class OneVersion(Open):
    """``/subjects/{name}/versions/{version}``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str, version: str) -> None:
        """The version in full."""
        answer(resp, shown(self.version(name, version)))

    def on_delete(
        self, req: falcon.Request, resp: falcon.Response, name: str, version: str
    ) -> None:
        """Refused."""
        raise read_only(name)


class VersionText(Open):
    """``/subjects/{name}/versions/{version}/schema``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str, version: str) -> None:
        """The schema alone."""
        answer(resp, orjson.Fragment(self.version(name, version).schema_text))


class ReferencedBy(Open):
    """``/subjects/{name}/versions/{version}/referencedby``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str, version: str) -> None:
        """Ids of the schemas that refer to it: none, each schema is whole."""
        self.version(name, version)
        answer(resp, [])


class OneId(Open):
    """``/schemas/ids/{id}``: what a record's first five bytes point to."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: int) -> None:
        """The schema as a text."""
        answer(resp, {"schema": self.of_id(id)[0].schema_text})


class IdText(Open):
    """``/schemas/ids/{id}/schema``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: int) -> None:
        """The schema itself."""
        answer(resp, orjson.Fragment(self.of_id(id)[0].schema_text))


class IdSubjects(Open):
    """``/schemas/ids/{id}/subjects``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: int) -> None:
        """The subjects that have it."""
        answer(resp, [version.subject for version in self.of_id(id)])


class IdVersions(Open):
    """``/schemas/ids/{id}/versions``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: int) -> None:
        """The subjects that have it, with their version."""
        found = self.of_id(id)
        answer(resp, [{"subject": v.subject, "version": v.version} for v in found])


class Types(Open):
    """``/schemas/types``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Avro only."""
        answer(resp, ["AVRO"])


class Rule(Open):
    """``/config`` and ``/config/{name}``: what may change between versions."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str | None = None) -> None:
        """The compatibility that is checked before a release."""
        answer(resp, {"compatibilityLevel": self.subject(name).compatibility if name else FULL})

    def on_put(self, req: falcon.Request, resp: falcon.Response, name: str = "") -> None:
        """Refused."""
        raise read_only(name)

    on_delete = on_put


class Mode(Open):
    """``/mode`` and ``/mode/{name}``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str | None = None) -> None:
        """Read-only."""
        if name:
            self.subject(name)
        answer(resp, {"mode": "READONLY"})

    def on_put(self, req: falcon.Request, resp: falcon.Response, name: str = "") -> None:
        """Refused."""
        raise read_only(name)

    on_delete = on_put


ROUTES: tuple[tuple[str, type[Open]], ...] = (
    ("", Root),
    ("/subjects", AllSubjects),
    ("/subjects/{name}", OneSubject),
    ("/subjects/{name}/versions", Versions),
    ("/subjects/{name}/versions/{version}", OneVersion),
    ("/subjects/{name}/versions/{version}/schema", VersionText),
    ("/subjects/{name}/versions/{version}/referencedby", ReferencedBy),
    ("/schemas/types", Types),
    ("/schemas/ids/{id:int}", OneId),
    ("/schemas/ids/{id:int}/schema", IdText),
    ("/schemas/ids/{id:int}/subjects", IdSubjects),
    ("/schemas/ids/{id:int}/versions", IdVersions),
    ("/config", Rule),
    ("/config/{name}", Rule),
    ("/mode", Mode),
    ("/mode/{name}", Mode),
)
"""Paths relative to ``/registry``."""
