"""Records that were written once are read for ever, and written alike today."""

from __future__ import annotations

import io
import itertools
import json
from typing import Any

import fastavro
import msgspec
import pytest

from events.log.records import Codec
from events.message import MESSAGES, Event
from schemas.catalog import Version, catalog
from schemas.commit import import_messages
from schemas.upcast import UPCASTERS
from tests.schemas import golden
from tests.schemas.golden import FOLDER, Golden

import_messages()
VERSIONS = [pytest.param(version, id=version.subject) for version in catalog().versions()]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_golden_means_what_it_meant(version: Version) -> None:
    assert golden.path_of(version).exists(), "make schemas"
    file = golden.read(version)
    newest = catalog().newest(version.message)
    assert newest is not None
    for kind, record in (("full", file.full), ("sparse", file.sparse)):
        message = Codec().read(bytes.fromhex(record.bytes))
        assert type(message) is MESSAGES[version.message]
        assert msgspec.to_builtins(message) == meaning_today(version, newest, kind, record)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_newest_version_is_written_so(version: Version) -> None:
    if catalog().newest(version.message) != version:
        return
    file = golden.read(version)
    for record in (file.full, file.sparse):
        message = msgspec.convert(record.value, MESSAGES[version.message])
        assert Codec().written(message).hex() == record.bytes


@pytest.mark.parametrize(
    "message", sorted(name for name, cls in MESSAGES.items() if issubclass(cls, Event))
)
def test_old_readers_follow_new_events(message: str) -> None:
    for reader, writer in itertools.permutations(catalog().messages()[message], 2):
        file = golden.read(writer)
        for record in (file.full, file.sparse):
            body = io.BytesIO(bytes.fromhex(record.bytes)[5:])
            fastavro.schemaless_reader(body, writer.schema, reader.schema)


def test_no_golden_is_left_over() -> None:
    known = {golden.path_of(version) for version in catalog().versions()}
    known |= {path.with_suffix(".upcast.json") for path in known}
    assert set(FOLDER.rglob("*.json")) <= known


def test_a_missing_golden_is_noticed() -> None:
    unknown = Version("compute.NeverWritten", 1, 1, {})
    with pytest.raises(FileNotFoundError):
        golden.read(unknown)


def meaning_today(version: Version, newest: Version, kind: str, record: Golden) -> Any:
    """What an old golden means: told by hand in ``<Name>.<version>.upcast.json`` where an
    upcaster changes the meaning, else its value with today's defaults."""
    if any(name == version.message and number >= version.version for name, number in UPCASTERS):
        path = golden.path_of(version).with_suffix(".upcast.json")
        return json.loads(path.read_text())[kind]
    if version == newest:
        return record.value
    return in_shape(record.value, newest.schema)


def in_shape(value: Any, schema: Any) -> Any:
    """``value`` with the fields that ``schema`` has."""
    if isinstance(schema, list):
        return None if value is None else in_shape(value, schema[1])
    if not isinstance(schema, dict):
        return value
    if schema["type"] == "array":
        return [in_shape(item, schema["items"]) for item in value]
    if schema["type"] == "map":
        return {key: in_shape(item, schema["values"]) for key, item in value.items()}
    return {
        field["name"]: in_shape(value[field["name"]], field["type"])
        if field["name"] in value
        else field["default"]
        for field in schema["fields"]
    }
