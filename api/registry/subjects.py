"""Subjects: what the registry knows, made once from the committed schemas. Never changes.

A record's subject is its full name (RecordNameStrategy), ``chronova.compute.ServerCreated``,
with the versions and ids of ``schemas.catalog``. ``<topic>-value`` (TopicNameStrategy, which
Connect and ksqlDB use unless told otherwise) is the union of the newest schemas of all records
that the topic may hold: a reader given it reads each of them. Its version is the number of
schema versions in it, so it rises when one is added; its id is a function of its text.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from events import topics
from events.fleet.heartbeat import Heartbeat
from events.journal import Marked, TermBegan
from events.message import Command, Event, Message, Work
from events.outcome import CommandRefused, Reply
from schemas.catalog import Catalog, Version, canonical
from schemas.derive import Schema

FULL = "FULL_TRANSITIVE"
BACKWARD = "BACKWARD_TRANSITIVE"


class Registered(msgspec.Struct, frozen=True):
    """A version of a subject, as the interface shows it."""

    subject: str
    version: int
    id: int
    schema_text: str


class Subject(msgspec.Struct, frozen=True):
    """A subject and the rule its versions keep."""

    name: str
    versions: Sequence[Registered]
    """Oldest first."""
    compatibility: str
    members: Sequence[Registered] = ()
    """The records of a topic. Clients that read with the union look each one's schema up under
    the topic's subject, and take it as it is when it has the union's version."""


class Subjects:
    """All subjects of a catalogue."""

    def __init__(self, schemas: Catalog, classes: Mapping[str, type[Message]]) -> None:
        subjects = [*_records(schemas), *_topics(schemas, classes)]
        self._subjects = {subject.name: subject for subject in subjects}
        self._by_id: dict[int, list[Registered]] = {}
        for subject in subjects:
            for version in subject.versions:
                self._by_id.setdefault(version.id, []).append(version)
        texts = {v.schema_text for known in self._by_id.values() for v in known}
        self._canonical = {text: canonical(text) for text in texts}

    def names(self, prefix: str = "") -> list[str]:
        """Those that begin so."""
        return sorted(name for name in self._subjects if name.startswith(prefix))

    def get(self, name: str) -> Subject | None:
        """The subject of that name."""
        return self._subjects.get(name)

    def of_id(self, id: int) -> Sequence[Registered]:
        """The versions with that id, none if nobody has it."""
        return self._by_id.get(id, ())

    def same(self, subject: Subject, schema: str) -> Registered | None:
        """The newest version that is ``schema`` but for words (Avro's canonical form). Raises
        ``schemas.catalog.NotASchema``."""
        wanted = canonical(schema)
        for version in (*reversed(subject.versions), *subject.members):
            if self._canonical[version.schema_text] == wanted:
                return version
        return None


def _records(schemas: Catalog) -> Iterator[Subject]:
    for message, versions in schemas.messages().items():
        name = f"chronova.{message}"
        yield Subject(
            name, [Registered(name, v.version, v.id, _text(v.schema)) for v in versions], FULL
        )


def _topics(schemas: Catalog, classes: Mapping[str, type[Message]]) -> Iterator[Subject]:
    held: dict[str, list[Sequence[Version]]] = {}
    for message, versions in schemas.messages().items():
        cls = classes.get(message)
        for topic in topics_of(cls) if cls is not None else ():
            held.setdefault(topic, []).append(versions)
    for topic, messages in held.items():
        name = f"{topic}-value"
        text = _text(union(versions[-1].schema for versions in messages))
        id = zlib.crc32(f"{name}/{text}".encode()) & 0x7FFFFFFF
        all = [version for versions in messages for version in reversed(versions)]
        members = [Registered(name, len(all), v.id, _text(v.schema)) for v in all]
        yield Subject(name, [Registered(name, len(all), id, text)], BACKWARD, members)


def topics_of(cls: type[Message]) -> Sequence[str]:
    """The topics that records of a class may lie in."""
    if cls is CommandRefused:
        return [topics.refusals(domain) for domain in topics.DOMAINS]
    if issubclass(cls, Event):
        known = cls.type_domain in topics.DOMAINS
        return [topics.events(d) for d in ((cls.type_domain,) if known else topics.DOMAINS)]
    if issubclass(cls, Command):
        return [(topics.reports if cls.from_hosts else topics.commands)(cls.type_domain)]
    if issubclass(cls, Work):
        return [topics.DISPATCHES.rstrip(".")]  # each host's begins so
    if issubclass(cls, TermBegan | Marked):
        return [topics.events(domain) for domain in topics.DOMAINS]
    if issubclass(cls, Reply | Heartbeat):
        return [topics.REPLIES if cls is Reply else topics.HEARTBEATS]
    return [topics.FEATURES if cls.type_domain == "features" else cls.type_domain]


def union(schemas: Iterable[Schema]) -> list[Any]:
    """One schema for any of ``schemas``. A named type is defined once, then called by name."""
    defined: set[str] = set()
    return [_once(schema, defined) for schema in schemas]


def _once(schema: Any, defined: set[str]) -> Any:
    if isinstance(schema, list):
        return [_once(branch, defined) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    if schema["type"] != "record":
        inner = "items" if schema["type"] == "array" else "values"
        return {**schema, inner: _once(schema[inner], defined)}
    name = f"{schema['namespace']}.{schema['name']}"
    if name in defined:
        return name
    defined.add(name)
    fields = [{**field, "type": _once(field["type"], defined)} for field in schema["fields"]]
    return {**schema, "fields": fields}


def _text(schema: Any) -> str:
    return json.dumps(schema, separators=(",", ":"))
