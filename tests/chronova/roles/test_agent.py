"""The agent's role: what it asks before it writes, and that no thread of it ends unnoticed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import chronova.roles.agent as role
from chronova import report_keys
from chronova.settings import Settings
from events import topics
from events.log.memory import Cluster, MemoryLog
from events.topics import HEARTBEATS
from handlers.compute.agent import Agent


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """The site's log, in memory."""
    cluster = Cluster(lambda: 0)
    for topic in topics.all_topics(1):
        cluster.create(topic)
    log = MemoryLog(cluster=cluster, process="agent")
    monkeypatch.setattr(role, "open_site_log", lambda settings: log)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield cluster
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_nothing_is_written_before_the_witness_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: Cluster
) -> None:
    """A heartbeat would be new evidence over what shows that the log was restored."""
    asked: list[int] = []

    def went_back(*_: object) -> None:
        asked.append(len(cluster.partitions[HEARTBEATS, 0].records))

    monkeypatch.setattr(role, "_went_back", went_back)
    role.serve(Settings(data=str(tmp_path), driver="simulated", hosts=1))
    assert asked == [0]
    assert not cluster.partitions[HEARTBEATS, 0].records, "nor when it is stopped meanwhile"


@pytest.mark.parametrize("thread", ["_keep_up", "_remove_unused"])
def test_a_defect_in_one_of_its_threads_ends_the_role(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: Cluster, thread: str
) -> None:
    """Hosts would count as down while they work, or the cache would fill their disks."""

    def defect(*_: object) -> None:
        raise KeyError("a defect")

    def run(agent: Agent, stopped: Callable[[], bool], pause: Callable[[float], object]) -> None:
        for _ in range(400):
            assert not stopped()
            pause(0.05)
        raise AssertionError("the role goes on without its thread")

    monkeypatch.setattr(report_keys, "fetch", lambda url, hosts: dict.fromkeys(hosts, b"k" * 32))
    monkeypatch.setattr(role, thread, defect)
    monkeypatch.setattr(role, "run", run)
    with pytest.raises(KeyError, match="a defect"):
        role.serve(Settings(data=str(tmp_path), driver="simulated", hosts=1))
