"""The committed schemas: every version of every message, a file for each message
(``schemas.record_file``).

The id of a version follows from its name and number (``id_of``). Ids are part of the contract:
records in the log carry them for ever. A class whose derived schema is not the newest committed
version may not be written: ``make schemas`` commits it.

Another version of Chronova writes with schemas that this one does not carry. They lie in the log
(``events.log.written_schemas``) and are looked up there: ``Catalog.look_up``.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import fastavro
import msgspec

from schemas.derive import Schema, derive
from schemas.record_file import ALL, message_of, versions_in
from schemas.upcast import upcaster

FOLDER = Path(__file__).parent


class SchemaNotCommitted(Exception):
    """A message class has no committed schema, or a newer form than the committed one."""


class UnknownSchema(Exception):
    """No committed schema has that id."""


class OtherSchema(Exception):
    """An id stands for another schema in the log than in this installation; one sentence."""


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


class LookUp(Protocol):
    """Where schemas are found that this installation does not carry."""

    def find(self, id: int) -> Version | None:
        """That of an id, None if nobody wrote it down."""

    def all(self) -> Sequence[Version]:
        """All that were written down."""


class Readable(msgspec.Struct, frozen=True):
    """How to read records of one schema id: written so, wanted so, then upcast."""

    message: str
    subject: str
    writer: Any
    reader: Any
    upcast: Callable[[dict[str, Any]], dict[str, Any]]


def id_of(message: str, version: int) -> int:
    """The id of a version, for ever: a function of its name, so that two branches agree."""
    return zlib.crc32(f"{message}/{version}".encode()) & 0x7FFFFFFF


def namespace_of(message: str) -> str:
    """The Avro namespace of a message, e.g. ``chronova.compute``."""
    return f"chronova.{message.split('.')[0]}"


class Catalog:
    """All committed versions. ``look_up``: where to ask for the schemas of other versions of
    Chronova; they are only read with, never written with. Thread-safe."""

    def __init__(self, versions: list[Version]) -> None:
        self._by_id = {v.id: v for v in versions}
        self._messages: dict[str, list[Version]] = {}
        for v in self.versions():
            self._messages.setdefault(v.message, []).append(v)
        self._newest = {message: known[-1] for message, known in self._messages.items()}
        self._writers: dict[str, tuple[int, Any]] = {}
        self._readers: dict[int, Readable] = {}
        self._learned: dict[int, Version] = {}
        self._learning = threading.Lock()
        self.look_up: LookUp | None = None

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
        """The version with that id, also one that was looked up. Raises ``UnknownSchema``."""
        found = self._by_id.get(id) or self._learned.get(id)
        if found is None and self.look_up is not None:
            with self._learning:
                found = self._learned.get(id) or self.look_up.find(id)
            if found is not None:
                self.learn([found])
        if found is None:
            raise UnknownSchema(f"no schema has the id {id}")
        return found

    def learn(self, versions: Sequence[Version]) -> None:
        """Take versions of others in. Raises ``OtherSchema`` where an id is taken here."""
        for v in versions:
            own = self._by_id.get(v.id)
            if own is None:
                self._learned.setdefault(v.id, v)
            elif own.schema != v.schema and not _same_form(own, v):
                raise OtherSchema(
                    f"the id {v.id} is that of {own.subject} here and of another form of"
                    f" {v.subject} in the log: records were written by a build that this one"
                    " cannot share a log with"
                )

    def known(self) -> Catalog:
        """A catalogue of these versions and all that others wrote down."""
        if self.look_up is not None:
            self.learn(self.look_up.all())
        return Catalog([*self._by_id.values(), *list(self._learned.values())])

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
            newest = self._newest.get(written.message, written)
            made = Readable(
                written.message,
                written.subject,
                fastavro.parse_schema(written.schema),
                None if newest.id == id else fastavro.parse_schema(newest.schema),
                upcaster(written.message, written.version),
            )
            self._readers[id] = made
        return made


def catalog_of(files: Mapping[str, bytes]) -> Catalog:
    """The catalogue in ``files``: the content of each by its path in the folder of schemas."""
    return Catalog(
        [
            Version(message, number, id_of(message, number), schema)
            for message, content in ((message_of(path), files[path]) for path in files)
            for number, schema in versions_in(content)
        ]
    )


def load(folder: Path = FOLDER) -> Catalog:
    """The catalogue in ``folder``."""
    return catalog_of({str(p.relative_to(folder)): p.read_bytes() for p in folder.glob(ALL)})


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


def _same_form(one: Version, other: Version) -> bool:
    forms = {canonical(json.dumps(v.schema)) for v in (one, other)}
    return one.message == other.message and len(forms) == 1


@cache
def catalog() -> Catalog:
    """The catalogue that this installation carries."""
    return load()
