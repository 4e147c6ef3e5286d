"""Each message class and its committed schema are the same, and say what everything means."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from events.message import MESSAGES, Event
from schemas.catalog import FOLDER, catalog, namespace_of
from schemas.commit import import_messages
from schemas.derive import derive
from schemas.record_file import content_of, message_of, path_of, versions_in
from tests.schemas import golden
from tests.tidy.tree import ROOT

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


FILES = sorted(path for path in FOLDER.glob("*/*") if path.is_file() and "py" not in path.suffix)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_file_is_as_it_would_be_written(path: Path) -> None:
    """So none was changed by hand, has a version twice, or lacks one in between."""
    content = path.read_bytes()
    assert content == content_of([schema for _, schema in versions_in(content)])


def test_no_file_is_left_over() -> None:
    there = {str(path.relative_to(FOLDER)) for path in FILES}
    assert there == {path_of(message) for message in catalog().messages()}


def test_an_installation_carries_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["schemas"]
    assert sorted(path for pattern in patterns for path in FOLDER.glob(pattern)) == FILES


def test_no_two_versions_have_one_id() -> None:
    names = [
        f"{message_of(str(path.relative_to(FOLDER)))}/{number}"
        for path in FILES
        for number, _ in versions_in(path.read_bytes())
    ]
    assert sorted(names) == sorted(version.subject for version in catalog().versions())


STOP = ("StopServer", "StopRequested", "ServerStopped", "StopFailed")
STOP_WORK = ("StopGuest", "ReportGuestStopped", "ReportStopFailed")


def test_what_an_operation_adds_can_be_read() -> None:
    """An operation is a request, three facts, an order and two reports, as stop is: what they are
    in the contract, golden records included, is a change of less than 150 lines."""
    versions = [catalog().find(f"compute.{name}", 1) for name in STOP + STOP_WORK]
    lines = 0
    for version in versions:
        assert version is not None
        assert golden.read(version)
        lines += content_of([version.schema]).count(b"\n") + len(get_args(golden.Kind))
    assert lines < 150


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
