"""The subjects as they are now: those of this version and those that others wrote to the log."""

from __future__ import annotations

from collections.abc import Mapping

from api.registry.subjects import Subjects
from events.message import Message
from schemas.catalog import Catalog


class Shelf:
    """Makes the subjects again when the log held schemas that were not known yet."""

    def __init__(self, schemas: Catalog, classes: Mapping[str, type[Message]]) -> None:
        self._schemas = schemas
        self._classes = classes
        self._made = (len(schemas.versions()), Subjects(schemas, classes))

    def subjects(self) -> Subjects:
        """All subjects."""
        known = self._schemas.known()
        count, subjects = self._made
        if len(known.versions()) != count:
            subjects = Subjects(known, self._classes)
            self._made = (len(known.versions()), subjects)
        return subjects
