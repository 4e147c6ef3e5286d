"""Committing schemas: a new shape is a new version, better words are not, ids are for good."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from events.message import MESSAGES, Event
from schemas.catalog import SchemaNotCommitted, UnknownSchema, id_of, load
from schemas.derive import Underivable, derive
from schemas.upcast import UPCASTERS
from tests.schemas.evolving import NAME, Evolution, first, second

ONE = """\
{
 "1": {"type": "record", "name": "BootDelayed", "namespace": "chronova.schemas",
  "doc": "A boot waits.",
  "fields": [
   {"name": "at", "type": "long", "doc": "Moment, in microseconds since 1970-01-01T00:00:00Z."},
   {"name": "server_id", "type": "string", "doc": "UUID of the server."},
   {"name": "delay_s", "type": "long", "doc": "How long, in seconds."}
  ]}
}
"""

TWO = """\
 "2": {"type": "record", "name": "BootDelayed", "namespace": "chronova.schemas",
  "doc": "A boot waits.",
  "fields": [
   {"name": "at", "type": "long", "doc": "Moment, in microseconds since 1970-01-01T00:00:00Z."},
   {"name": "server_id", "type": "string", "doc": "UUID of the server."},
   {"name": "delay_s", "type": "long", "doc": "How long, in whole seconds, for old readers."},
   {"name": "delay_ms", "type": "long", "doc": "How long, in milliseconds.", "default": 0}
  ]}
}
"""
BOTH = ONE.removesuffix("\n}\n") + ",\n" + TWO


def test_a_new_shape_is_a_new_version(evolving: Evolution) -> None:
    assert evolving.commit(first) == [f"{NAME}/1"]
    assert evolving.file.read_text() == ONE
    assert evolving.commit(second) == [f"{NAME}/2"]
    assert evolving.file.read_text() == BOTH
    known = [(v.subject, v.id) for v in load(evolving.folder).versions()]
    assert known == [(f"{NAME}/1", id_of(NAME, 1)), (f"{NAME}/2", id_of(NAME, 2))]


def test_committing_again_changes_nothing(evolving: Evolution) -> None:
    evolving.commit(second)
    before = evolving.file.read_bytes()
    assert evolving.commit(second) == []
    assert evolving.file.read_bytes() == before


def test_better_words_are_the_same_version(evolving: Evolution) -> None:
    def better() -> type[Event]:
        cls = first()
        cls.__doc__ = "A boot has to wait for a moment."
        return cls

    evolving.commit(first)
    assert evolving.commit(better) == [f"{NAME}/1"]
    (only,) = load(evolving.folder).versions()
    assert (only.id, only.schema["doc"]) == (id_of(NAME, 1), "A boot has to wait for a moment.")


def test_better_words_leave_older_versions_alone(evolving: Evolution) -> None:
    def better() -> type[Event]:
        cls = second()
        cls.__doc__ = "A boot has to wait — for a moment."
        return cls

    evolving.commit(first)
    evolving.commit(second)
    assert evolving.commit(better) == [f"{NAME}/2"]
    head, _, tail = BOTH.rpartition("A boot waits.")
    assert evolving.file.read_text() == f"{head}A boot has to wait — for a moment.{tail}"


def test_an_id_is_for_good() -> None:
    """Records in logs carry it, beyond what golden records show."""
    assert id_of("compute.ServerCreated", 1) == 1743365197


def test_two_messages_cannot_share_an_id(evolving: Evolution, monkeypatch: Any) -> None:
    monkeypatch.setattr("schemas.commit.id_of", lambda message, version: 1)

    def twins() -> type[Event]:
        class BootDelayedAgain(Event, frozen=True, kw_only=True):
            """A boot waits once more."""

        MESSAGES["schemas.Other"] = BootDelayedAgain
        return first()

    with pytest.raises(SystemExit, match="would share the schema id 1"):
        evolving.commit(twins)
    assert not evolving.file.exists()


def test_what_is_not_committed_cannot_be_written(evolving: Evolution) -> None:
    evolving.commit(first)
    old = evolving.codec()
    MESSAGES.clear()
    changed: Any = second()
    with pytest.raises(SchemaNotCommitted, match="make schemas"):
        old.encode(changed(at=1, server_id="s", delay_s=2))


def test_an_id_that_nobody_has(evolving: Evolution) -> None:
    evolving.commit(first)
    with pytest.raises(UnknownSchema, match="no schema has the id 3"):
        load(evolving.folder).by_id(3)


def test_upcasters_are_of_versions_that_exist() -> None:
    for message, version in UPCASTERS:
        newest = load().newest(message)
        assert newest is not None and version < newest.version


class Holder(Event, frozen=True, kw_only=True):
    abstract = True
    what: Annotated[int | str, "Two types at once."]


def test_a_type_that_avro_has_not() -> None:
    with pytest.raises(Underivable, match=r"Holder\.what: .* is not one type or None"):
        derive(Holder, "chronova.schemas")
