"""A reader that moves over what is no record, as Kafka's over the markers of transactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from events.log.contract import Log, Reader, Record, TopicPartition


class HoppingReader:
    """Over another reader: after each record one ``poll`` returns nothing and moves by one."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._before: set[TopicPartition] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def poll(self, timeout_s: float, records_max: int = 1000) -> Sequence[Record]:
        """A record, or nothing and the position moves, in turn."""
        if self._before:
            self._before.clear()
            return []
        found = self._reader.poll(timeout_s, 1)
        self._before = {record.source for record in found}
        return found

    def seek(self, source: TopicPartition, offset: int) -> None:
        """See the contract."""
        self._before.discard(source)
        self._reader.seek(source, offset)

    def positions(self) -> Mapping[TopicPartition, int]:
        """Where it is, markers not passed."""
        found = self._reader.positions()
        return {source: at - (source in self._before) for source, at in found.items()}


def let_hop(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each reader of ``log`` that is opened from now on be a ``HoppingReader``."""
    opened = log.reader
    monkeypatch.setattr(log, "reader", lambda start: HoppingReader(opened(start)))
