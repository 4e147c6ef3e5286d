"""A log by its URL."""

from __future__ import annotations

import pytest

from events.log import open_log
from events.log.memory import MemoryLog
from events.log.postgres import PostgresLog


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_postgres(scheme: str) -> None:
    log = open_log(f"{scheme}://nobody@127.0.0.1:1/nothing", schema="elsewhere")
    assert isinstance(log, PostgresLog)
    log.close()


def test_memory_needs_a_clock() -> None:
    assert isinstance(open_log("memory:", now=lambda: 0), MemoryLog)
    with pytest.raises(ValueError, match="clock"):
        open_log("memory:")


@pytest.mark.parametrize(
    "url", ["", "mysql://host/db", "kafka:", "kafka://", "kafka:host:9092", "memory:x", "/a/path"]
)
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"kafka://host:port"):
        open_log(url)


@pytest.mark.parametrize("schema", ["", "Log", "log; drop table x", "x" * 40, "1log"])
def test_a_schema_has_a_plain_name(schema: str) -> None:
    with pytest.raises(ValueError, match="schema"):
        open_log("postgresql:///x", schema=schema)


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="Postgres URL"):
        open_log("postgresql://host:port:more/?x=1&nonsense")
