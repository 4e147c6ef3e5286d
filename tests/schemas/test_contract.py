"""Each message class and its committed schema are the same, and say what everything means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from events.message import MESSAGES, Event
from schemas.catalog import LOCK, catalog, namespace_of
from schemas.commit import import_messages
from schemas.derive import derive

import_messages()


@pytest.mark.parametrize("message", sorted(MESSAGES))
def test_the_committed_schema_is_the_class(message: str) -> None:
    newest = catalog().newest(message)
    assert newest is not None, "make schemas"
    assert newest.schema == derive(MESSAGES[message], namespace_of(message)), "make schemas"


@pytest.mark.parametrize("message", sorted(MESSAGES))
def test_everything_has_a_doc(message: str) -> None:
    newest = catalog().newest(message)
    assert newest is not None
    assert list(undocumented(newest.schema)) == []


@pytest.mark.parametrize("message", sorted(MESSAGES))
def test_there_is_something_in_it(message: str) -> None:
    """Confluent's deserializers take a record of five bytes, as one without fields is, for none."""
    newest = catalog().newest(message)
    assert newest is not None and newest.schema["fields"]


def test_no_file_is_left_over() -> None:
    there = {str(path.relative_to(LOCK.parent)) for path in LOCK.parent.rglob("*.avsc")}
    known = {f"{v.message.replace('.', '/', 1)}.{v.version}.avsc" for v in catalog().versions()}
    assert there == known


@pytest.mark.parametrize(
    "message", sorted(name for name, cls in MESSAGES.items() if issubclass(cls, Event))
)
def test_an_event_names_its_aggregates_by_fields_it_has(message: str) -> None:
    cls = MESSAGES[message]
    assert issubclass(cls, Event)
    for aggregate, field in cls.folds:
        assert aggregate and field in cls.__struct_fields__


def undocumented(schema: Any) -> Iterator[str]:
    """The records and fields in ``schema`` with no doc."""
    if isinstance(schema, list):
        for branch in schema:
            yield from undocumented(branch)
    elif isinstance(schema, dict):
        if schema["type"] == "record":
            if not schema.get("doc"):
                yield schema["name"]
            for field in schema["fields"]:
                if not field.get("doc"):
                    yield f"{schema['name']}.{field['name']}"
                yield from undocumented(field["type"])
        yield from undocumented(schema.get("items") or schema.get("values"))
