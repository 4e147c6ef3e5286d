"""Records that were written once are read for ever, and written alike today."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest

from events.log.records import Codec
from events.message import MESSAGES, Event
from schemas.catalog import Catalog, Version, catalog
from schemas.commit import import_messages
from schemas.compatibility import BASE, NoSuchRef, files_at
from schemas.upcast import UPCASTERS
from tests.schemas import golden
from tests.schemas.golden import FOLDER, Golden

import_messages()
RECORDS = [
    record
    for path in sorted(FOLDER.iterdir())
    for record in golden.parse(path.read_text(encoding="utf-8"))
]
EACH = [pytest.param(record, id="-".join(map(str, record.place))) for record in RECORDS]


@pytest.mark.parametrize("record", EACH)
def test_a_golden_means_what_it_meant(record: Golden) -> None:
    message = Codec().read(bytes.fromhex(record.bytes))
    assert type(message) is MESSAGES[record.name]
    assert msgspec.to_builtins(message) == meaning_today(record, catalog())


@pytest.mark.parametrize("record", EACH)
def test_the_newest_version_is_written_so(record: Golden) -> None:
    newest = catalog().newest(record.name)
    assert newest is not None
    if newest.version == record.version:
        message = msgspec.convert(record.value, MESSAGES[record.name])
        assert Codec().written(message).hex() == record.bytes


@pytest.mark.parametrize(
    "message", sorted(name for name, cls in MESSAGES.items() if issubclass(cls, Event))
)
def test_old_readers_follow_new_events(message: str) -> None:
    for reader, writer in itertools.permutations(catalog().messages()[message], 2):
        records = golden.read(writer)
        for record in (records.full, records.sparse):
            body = io.BytesIO(bytes.fromhex(record.bytes)[5:])
            fastavro.schemaless_reader(body, writer.schema, reader.schema)


def test_each_version_has_its_goldens_and_they_are_in_order() -> None:
    """None is left over, missing or there twice."""
    known = [(v.message, v.version, kind) for v in catalog().versions() for kind in golden.FILLS]
    assert [record.place for record in RECORDS] == sorted(known), "make schemas"


def test_goldens_are_never_rewritten() -> None:
    """Each line that is committed is still there, to the byte. Before the first release all may be
    made anew."""
    try:
        then = files_at(BASE, FOLDER)
    except NoSuchRef as reason:
        pytest.skip(str(reason))
    now = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    assert list(golden.rewritten(then, now)) == []


def test_a_golden_that_was_rewritten_is_seen() -> None:
    then = {"fleet.jsonl": b"one\ntwo\n", "site.jsonl": b"three\n", "old/form.json": b"{}"}
    assert list(golden.rewritten(then, {"fleet.jsonl": b"new\none\ntwo\n", **then})) == []
    assert list(golden.rewritten(then, {"fleet.jsonl": b"one\nTwo\n"})) == [
        "fleet.jsonl: two",
        "site.jsonl: three",
    ]


def test_a_missing_golden_is_noticed() -> None:
    with pytest.raises(KeyError):
        golden.read(Version("compute.NeverWritten", 1, 1, {}))


def test_only_what_is_missing_is_added(tmp_path: Path) -> None:
    newest = Catalog([v for v in catalog().versions() if catalog().newest(v.message) == v])
    added = golden.write_missing(newest, tmp_path)
    assert sum(added.values()) == 2 * len(newest.versions())
    assert set(added) == {path.name for path in tmp_path.iterdir()}
    file = tmp_path / "fleet.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    kept = lines[0].replace(b'"full"', b' "full"')
    file.write_bytes(b"".join([kept, *lines[1:5], *lines[7:]]))
    assert golden.write_missing(newest, tmp_path) == {"fleet.jsonl": 2}
    assert file.read_bytes() == b"".join([kept, *lines[1:]])
    file.write_bytes(b"".join([*lines[2:], kept, lines[1]]))
    assert golden.write_missing(newest, tmp_path) == {}
    assert file.read_bytes() == b"".join([kept, *lines[1:]])


def test_a_golden_of_an_older_version_cannot_be_made(tmp_path: Path) -> None:
    schema = {"type": "record", "name": "Ping", "fields": []}
    two = Catalog([Version("compute.Ping", number, number, schema) for number in (1, 2)])
    with pytest.raises(SystemExit, match=r"^compute\.Ping/1 has no golden and is not the newest"):
        golden.write_missing(two, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_an_upcaster_changes_is_told_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = next(record for record in RECORDS if record.name == "compute.StopFailed")
    told = msgspec.structs.replace(old, bytes="", value={"reason": "as it is said today"})
    monkeypatch.setattr(golden, "UPCAST", tmp_path / "upcast.jsonl")
    golden.UPCAST.write_bytes(msgspec.json.encode(told) + b"\n")
    assert meaning_today(old, catalog()) != told.value
    monkeypatch.setitem(UPCASTERS, (old.name, old.version), lambda fields: fields)
    assert meaning_today(old, catalog()) == told.value


def meaning_today(record: Golden, schemas: Catalog) -> Any:
    """What a golden means: told by hand where an upcaster changes the meaning, else its value with
    today's defaults."""
    if any(name == record.name and number >= record.version for name, number in UPCASTERS):
        return golden.read_file(golden.UPCAST)[record.place].value
    newest = schemas.newest(record.name)
    assert newest is not None
    return (
        record.value if newest.version == record.version else in_shape(record.value, newest.schema)
    )


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
