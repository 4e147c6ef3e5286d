"""The agent's role: nothing is written before the log was asked whether it went back."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import chronova.roles.agent as role
from chronova.settings import Settings
from events import topics
from events.log.memory import Cluster, MemoryLog
from events.topics import HEARTBEATS


def test_nothing_is_written_before_the_witness_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A heartbeat would be new evidence over what shows that the log was restored."""
    cluster = Cluster(lambda: 0)
    for topic in topics.all_topics(1):
        cluster.create(topic)
    asked: list[int] = []

    def went_back(*_: object) -> None:
        asked.append(len(cluster.partitions[HEARTBEATS, 0].records))

    monkeypatch.setattr(
        role, "open_site_log", lambda settings: MemoryLog(cluster=cluster, process="agent")
    )
    monkeypatch.setattr(role, "_went_back", went_back)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        role.serve(Settings(data=str(tmp_path), driver="simulated", hosts=1))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert asked == [0]
    assert not cluster.partitions[HEARTBEATS, 0].records, "nor when it is stopped meanwhile"
