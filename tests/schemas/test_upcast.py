"""Old records in today's terms: first today's shape by Avro's rules, then today's meaning."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest

from events.message import MESSAGES
from schemas.catalog import id_of, load
from schemas.compatibility import incompatible
from schemas.upcast import UPCASTERS, Fields
from tests.schemas.evolving import NAME, Evolution, first, second, third


@pytest.fixture
def written(evolving: Evolution) -> bytes:
    """A record of version 1, from when that was all there was."""
    evolving.commit(first)
    message = MESSAGES[NAME](at=1, server_id="s-1", delay_s=3)
    return evolving.codec().encode(message)


def read(evolving: Evolution, record: bytes) -> Any:
    message = evolving.codec().decode(record)
    assert type(message) is MESSAGES[NAME]
    return msgspec.to_builtins(message)


def in_milliseconds(fields: Fields) -> Fields:
    return {**fields, "delay_ms": fields["delay_s"] * 1000}


def with_a_reason(fields: Fields) -> Fields:
    return {**fields, "reason": f"waited {fields['delay_ms']} ms"}


def test_the_shape_comes_from_the_schemas(evolving: Evolution, written: bytes) -> None:
    evolving.commit(second)
    evolving.commit(third)
    assert read(evolving, written) == {
        "at": 1,
        "server_id": "s-1",
        "delay_s": 3,
        "delay_ms": 0,
        "reason": None,
    }


def test_the_meaning_comes_from_the_upcasters_in_order(
    evolving: Evolution, written: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    evolving.commit(second)
    evolving.commit(third)
    monkeypatch.setitem(UPCASTERS, (NAME, 2), with_a_reason)
    monkeypatch.setitem(UPCASTERS, (NAME, 1), in_milliseconds)
    assert read(evolving, written) == {
        "at": 1,
        "server_id": "s-1",
        "delay_s": 3,
        "delay_ms": 3000,
        "reason": "waited 3000 ms",
    }


def test_a_record_is_upcast_from_its_own_version(
    evolving: Evolution, written: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    evolving.commit(second)
    record = evolving.codec().encode(MESSAGES[NAME](at=1, server_id="s", delay_s=3, delay_ms=2500))
    evolving.commit(third)
    monkeypatch.setitem(UPCASTERS, (NAME, 1), in_milliseconds)
    monkeypatch.setitem(UPCASTERS, (NAME, 2), with_a_reason)
    monkeypatch.setitem(UPCASTERS, ("schemas.Other", 2), in_milliseconds)
    assert read(evolving, record)["delay_ms"] == 2500
    assert read(evolving, record)["reason"] == "waited 2500 ms"
    newest = MESSAGES[NAME](at=1, server_id="s", delay_s=3, delay_ms=1)
    assert read(evolving, evolving.codec().encode(newest))["reason"] is None


def test_each_record_says_its_version(evolving: Evolution, written: bytes) -> None:
    assert struct.unpack(">bI", written[:5]) == (0, id_of(NAME, 1))
    evolving.commit(second)
    record = evolving.codec().encode(MESSAGES[NAME](at=1, server_id="s", delay_s=3))
    assert struct.unpack(">bI", record[:5]) == (0, id_of(NAME, 2))


def test_the_evolution_keeps_the_contract(evolving: Evolution, written: bytes) -> None:
    evolving.commit(second)
    evolving.commit(third)
    versions = load(evolving.folder).messages()[NAME]
    assert [v.version for v in versions] == [1, 2, 3]
    assert list(incompatible(versions)) == []
