"""The committed schemas: every version of every message, with its fixed id.

``ids.lock`` (JSON) lists them: ``{"compute.ServerCreated": [{"version": 1, "id": 17, "file":
"compute/ServerCreated.1.avsc"}, …]}``, newest last. Ids are part of the contract: records in
the log carry them for ever. A class whose derived schema is not the newest committed version
may not be written: ``make schemas`` commits it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
import msgspec

from schemas.derive import Schema, derive
from schemas.upcast import upcaster

FOLDER = Path(__file__).parent
LOCK = FOLDER / "ids.lock"


class SchemaNotCommitted(Exception):
    """A message class has no committed schema, or a newer form than the committed one."""


class UnknownSchema(Exception):
    """No committed schema has that id."""


class NotASchema(ValueError):
    """A text that is no Avro schema; the message says why."""


class Version(msgspec.Struct, frozen=True):
    """One committed version of one message's schema."""

    message: str
    version: int
    id: int
    schema: Schema

    @property
    def subject(self) -> str:
        """Name and version, as in ``compute.ServerCreated/1``."""
        return f"{self.message}/{self.version}"


class Readable(msgspec.Struct, frozen=True):
    """How to read records of one schema id: written so, wanted so, then upcast."""

    message: str
    subject: str
    writer: Any
    reader: Any
    upcast: Callable[[dict[str, Any]], dict[str, Any]]


def id_of(message: str, version: int) -> int:
    """The id that a new version gets: a function of its name, so that two branches agree."""
    return zlib.crc32(f"{message}/{version}".encode()) & 0x7FFFFFFF


def namespace_of(message: str) -> str:
    """The Avro namespace of a message, e.g. ``chronova.compute``."""
    return f"chronova.{message.split('.')[0]}"


class Catalog:
    """All committed versions."""

    def __init__(self, versions: list[Version]) -> None:
        self._by_id = {v.id: v for v in versions}
        self._messages: dict[str, list[Version]] = {}
        for v in self.versions():
            self._messages.setdefault(v.message, []).append(v)
        self._newest = {message: known[-1] for message, known in self._messages.items()}
        self._writers: dict[str, tuple[int, Any]] = {}
        self._readers: dict[int, Readable] = {}

    def versions(self) -> list[Version]:
        """All, ordered by message and version."""
        return sorted(self._by_id.values(), key=lambda v: (v.message, v.version))

    def messages(self) -> Mapping[str, Sequence[Version]]:
        """The versions of each message, oldest first."""
        return self._messages

    def find(self, message: str, version: int) -> Version | None:
        """That version of that message."""
        return next((v for v in self._messages.get(message, ()) if v.version == version), None)

    def newest(self, message: str) -> Version | None:
        """The newest version of a message."""
        return self._newest.get(message)

    def by_id(self, id: int) -> Version:
        """The version with that id. Raises ``UnknownSchema``."""
        try:
            return self._by_id[id]
        except KeyError:
            raise UnknownSchema(f"no schema has the id {id}") from None

    def writer(self, cls: type[msgspec.Struct], message: str) -> tuple[int, Any]:
        """Id and parsed schema to write ``cls`` with. Raises ``SchemaNotCommitted``."""
        made = self._writers.get(message)
        if made is None:
            newest = self._newest.get(message)
            if newest is None or newest.schema != derive(cls, namespace_of(message)):
                raise SchemaNotCommitted(
                    f"the schema of {message} is not committed as it is now; run: make schemas"
                )
            made = (newest.id, fastavro.parse_schema(newest.schema))
            self._writers[message] = made
        return made

    def reader(self, id: int) -> Readable:
        """How to read records of schema ``id``. Raises ``UnknownSchema``."""
        made = self._readers.get(id)
        if made is None:
            written = self.by_id(id)
            newest = self._newest[written.message]
            made = Readable(
                written.message,
                written.subject,
                fastavro.parse_schema(written.schema),
                None if newest.id == id else fastavro.parse_schema(newest.schema),
                upcaster(written.message, written.version),
            )
            self._readers[id] = made
        return made


def catalog_of(entries: Any, read: Callable[[str], Schema]) -> Catalog:
    """The catalogue of a lock file's ``entries``; ``read(file)`` gives the schema in a file."""
    return Catalog(
        [
            Version(message, e["version"], e["id"], read(e["file"]))
            for message, versions in entries.items()
            for e in versions
        ]
    )


def load(lock: Path = LOCK) -> Catalog:
    """The catalogue in the folder of ``lock``."""

    def read(file: str) -> Schema:
        schema: Schema = json.loads((lock.parent / file).read_text())
        return schema

    return catalog_of(json.loads(lock.read_text()) if lock.exists() else {}, read)


def canonical(schema: str) -> str:
    """Avro's Parsing Canonical Form of a schema's JSON text: equal for those that differ in words
    only. Raises ``NotASchema``."""
    try:
        form: str = fastavro.schema.to_parsing_canonical_form(json.loads(schema))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise NotASchema(f"{type(error).__name__}: {error}") from error
    except fastavro.schema.SchemaParseException as error:
        raise NotASchema(str(error)) from error
    return form


@cache
def catalog() -> Catalog:
    """The catalogue that this installation carries."""
    return load()
