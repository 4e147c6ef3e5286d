"""Whether the log went back behind what a host wrote."""

from __future__ import annotations

import pytest

from events.log.contract import Outgoing, Topic
from events.log.memory import Cluster, MemoryLog
from events.log.memory_cluster import Partition
from handlers.performer.witness import AWAY_MAX, LogWentBack, Witness

TOPIC = "compute.reports"
KEYS = ("a", "b", "c", "d")


class Kept:
    content: bytes | None = None

    def load(self) -> bytes | None:
        return self.content

    def save(self, content: bytes) -> None:
        self.content = content


class Site:
    """A log, and what a host keeps."""

    def __init__(self) -> None:
        self.now = 1
        self.cluster = Cluster(lambda: self.now)
        self.cluster.create(Topic(TOPIC, 2))
        self.log = MemoryLog(cluster=self.cluster, process="host")
        self.kept = Kept()
        self.witness = self.started()

    def started(self) -> Witness:
        self.witness = Witness(self.log, self.kept, lambda: self.now, save_every=0)
        return self.witness

    def write(self) -> None:
        self.witness.append([Outgoing(TOPIC, key, b"") for key in KEYS])

    def cut(self, partition: int, count: int) -> None:
        old = self.cluster.partitions[TOPIC, partition]
        new = self.cluster.partitions[TOPIC, partition] = Partition()
        new.records = old.records[:count]


def test_a_log_that_grows_did_not_go_back() -> None:
    site = Site()
    assert not site.witness.went_back()
    for _ in range(3):
        site.write()
        site.log.append([Outgoing(TOPIC, key, b"another's") for key in KEYS])
    assert not site.started().went_back()
    site.write()


@pytest.mark.parametrize("partition", [0, 1])
def test_one_lost_record_is_enough(partition: int) -> None:
    site = Site()
    site.write()
    count = len(site.cluster.partitions[TOPIC, partition].records)
    site.cut(partition, count - 1)
    assert site.started().went_back()


def test_a_process_that_runs_meanwhile_ends() -> None:
    site = Site()
    for _ in range(3):
        site.write()
    site.cut(0, 0)
    with pytest.raises(LogWentBack, match=TOPIC):
        site.write()
    assert site.started().went_back(), "its next start knows it, too"


def test_after_it_was_said_it_is_over() -> None:
    site = Site()
    site.write()
    site.cut(0, 0)
    assert site.started().went_back()
    site.write()
    assert not site.started().went_back()


def test_a_topic_that_is_gone_went_back() -> None:
    site = Site()
    site.write()
    del site.cluster.topics[TOPIC]
    for number in range(2):
        del site.cluster.partitions[TOPIC, number]
    site.log = MemoryLog(cluster=site.cluster, process="host")
    assert site.started().went_back()


def test_who_was_away_for_long_cannot_tell() -> None:
    site = Site()
    site.write()
    site.now += AWAY_MAX + 1
    assert site.started().went_back()


def test_a_torn_file_tells_nothing() -> None:
    site = Site()
    site.write()
    site.kept.content = b'{"offsets"'
    assert not site.started().went_back()


def test_it_is_kept_now_and_then_and_at_the_end() -> None:
    site = Site()
    witness = Witness(site.log, site.kept, lambda: site.now, save_every=10)
    site.now = 100
    for _ in range(3):
        witness.append([Outgoing(TOPIC, "a", b"")])
    first = site.kept.content
    witness.save()
    assert first != site.kept.content


def test_that_it_went_back_is_known_although_others_have_written_since() -> None:
    """By the next start the topic may be as long as it was."""
    site = Site()
    site.now = 2 * AWAY_MAX
    for _ in range(3):
        site.write()
    ends = {p: len(site.cluster.partitions[TOPIC, p].records) for p in (0, 1)}
    for partition in (0, 1):
        site.cut(partition, 0)
    with pytest.raises(LogWentBack, match=TOPIC):
        site.write()
    with pytest.raises(LogWentBack, match=TOPIC):
        site.write()
    other = MemoryLog(cluster=site.cluster, process="another host")
    while any(len(site.cluster.partitions[TOPIC, p].records) <= ends[p] for p in (0, 1)):
        other.append([Outgoing(TOPIC, key, b"") for key in KEYS])
    site.witness.save()
    assert site.started().went_back()
