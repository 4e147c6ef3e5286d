from __future__ import annotations

from collections.abc import Sequence

import pytest

from events.log.contract import LogUnavailable, Outgoing, Topic, TopicMismatch, Unstorable
from events.log.memory import Cluster, Fault, MemoryLog, Operation
from handlers.performer import outbox as boxes
from handlers.performer.outbox import Outbox

TOPIC = "compute.reports"


class Rig:
    """An outbox on a log that takes records up to 1,000 bytes."""

    def __init__(self) -> None:
        self.away = False
        self.cluster = Cluster(lambda: 0, faults=self._strikes, record_bytes_max=1000)
        self.cluster.create(Topic(TOPIC, 1))
        self.outbox = Outbox(MemoryLog(cluster=self.cluster, process="host"))

    def _strikes(self, operation: Operation) -> Fault | None:
        return Fault.UNAVAILABLE if self.away else None

    def written(self, topic: str = TOPIC) -> list[bytes]:
        return [record.value[:1] for record in self.cluster.partitions[topic, 0].records]


def record(value: bytes, topic: str = TOPIC) -> Outgoing:
    return Outgoing(topic, "key", value, {"ce_type": "chronova.compute.ReportProgress"})


def test_reports_are_written_in_order() -> None:
    rig = Rig()
    for value in (b"1", b"2", b"3"):
        rig.outbox.put(record(value))
    rig.outbox.flush()
    assert rig.written() == [b"1", b"2", b"3"]
    assert rig.outbox.empty()


def test_one_that_is_too_large_does_not_stop_the_others() -> None:
    rig = Rig()
    rig.outbox.put(record(b"1"))
    rig.outbox.put(record(b"2" * 2000), lambda: record(b"s"))
    rig.outbox.put(record(b"3" * 2000))
    rig.outbox.put(record(b"4"))
    rig.outbox.flush()
    assert rig.written() == [b"1", b"s", b"4"], "in place of the large one came a small one"


def test_one_that_is_refused_is_tried_again() -> None:
    rig = Rig()
    rig.outbox.put(record(b"1", "network.reports"))
    rig.outbox.put(record(b"2"))
    rig.outbox.flush()
    assert rig.written() == [b"2"]
    rig.cluster.create(Topic("network.reports", 1))
    for _ in range(boxes.RETRY_EVERY):
        rig.outbox.flush()
    assert rig.written("network.reports") == [b"1"]


def test_nothing_is_lost_while_the_log_is_away() -> None:
    rig = Rig()
    rig.outbox.put(record(b"1"))
    rig.away = True
    with pytest.raises(LogUnavailable):
        rig.outbox.flush()
    rig.away = False
    rig.outbox.flush()
    assert rig.written() == [b"1"]


def test_what_was_set_aside_survives_an_outage() -> None:
    rig = Rig()
    rig.outbox.put(record(b"1", "network.reports"))
    rig.outbox.flush()
    rig.cluster.create(Topic("network.reports", 1))
    rig.away = True
    for _ in range(2 * boxes.RETRY_EVERY):
        try:
            rig.outbox.flush()
        except LogUnavailable:
            continue
    rig.away = False
    for _ in range(boxes.RETRY_EVERY):
        rig.outbox.flush()
    assert rig.written("network.reports") == [b"1"]


def test_it_is_full_by_number_and_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "RECORDS_MAX", 3)
    monkeypatch.setattr(boxes, "BYTES_MAX", 100)
    rig = Rig()
    rig.outbox.put(record(b"1"))
    assert not rig.outbox.full()
    rig.outbox.put(record(b"2" * 100))
    assert rig.outbox.full()
    rig.outbox.flush()
    assert not rig.outbox.full()
    for _ in range(3):
        rig.outbox.put(record(b"3"))
    assert rig.outbox.full()


def test_what_is_set_aside_is_not_passed_for_written() -> None:
    rig = Rig()
    rig.outbox.put(record(b"1", "network.reports"))
    rig.outbox.flush()
    assert rig.outbox.empty()
    assert not rig.outbox.all_written()


def test_it_is_full_of_what_was_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest fell out of it without a word."""
    monkeypatch.setattr(boxes, "ASIDE_MAX", 2)
    rig = Rig()
    for value in (b"1", b"2", b"3"):
        rig.outbox.put(record(value, "network.reports"))
    rig.outbox.flush()
    assert rig.outbox.full()
    rig.cluster.create(Topic("network.reports", 1))
    for _ in range(boxes.RETRY_EVERY):
        rig.outbox.flush()
    assert rig.written("network.reports") == [b"1", b"2", b"3"]
    assert not rig.outbox.full()


def test_what_can_never_be_written_is_dropped_with_a_word() -> None:
    written: list[bytes] = []

    class Log:
        def append(self, records: Sequence[Outgoing], timeout_s: float = 10.0) -> Sequence[int]:
            if any(one.value == b"1" for one in records):
                raise Unstorable("a header is no Unicode text")
            written.extend(one.value for one in records)
            return [0] * len(records)

    outbox = Outbox(Log())
    for value in (b"1", b"2"):
        outbox.put(record(value))
    outbox.flush()
    assert outbox.all_written()
    assert written == [b"2"]


def test_what_is_said_again_later_is_left_out_while_it_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A report of each guest was added every ten minutes, for as long as the log was away."""
    monkeypatch.setattr(boxes, "RECORDS_MAX", 2)
    rig = Rig()
    assert rig.outbox.offer(record(b"1"))
    rig.outbox.put(record(b"2"))
    assert not rig.outbox.offer(record(b"x"))
    rig.outbox.put(record(b"3"))
    rig.outbox.flush()
    assert rig.written() == [b"1", b"2", b"3"], "what nobody says again is there"
    assert rig.outbox.offer(record(b"4"))


def test_it_is_full_by_the_size_of_what_was_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "BYTES_MAX", 100)
    rig = Rig()
    rig.outbox.put(record(b"1" * 100, "network.reports"))
    for _ in range(boxes.RETRY_EVERY):
        rig.outbox.flush()
        assert rig.outbox.full()
    rig.cluster.create(Topic("network.reports", 1))
    for _ in range(boxes.RETRY_EVERY):
        rig.outbox.flush()
    assert not rig.outbox.full()
    assert rig.outbox._bytes == 0


def test_what_is_refused_is_set_aside_once_though_the_log_goes_away_then() -> None:
    """It was set aside once more at each try, without a bound."""
    written: list[bytes] = []

    class Log:
        away = True

        def append(self, records: Sequence[Outgoing], timeout_s: float = 10.0) -> Sequence[int]:
            if any(one.topic != TOPIC for one in records):
                raise TopicMismatch("there is no such topic")
            if self.away and any(one.value == b"3" for one in records):
                raise LogUnavailable("nobody leads the partition")
            written.extend(one.value for one in records)
            return [0] * len(records)

    log = Log()
    outbox = Outbox(log)
    outbox.put(record(b"1", "network.reports"))
    for value in (b"2", b"3", b"4"):
        outbox.put(record(value))
    for _ in range(5):
        with pytest.raises(LogUnavailable):
            outbox.flush()
    assert len(outbox._aside) == 1
    log.away = False
    outbox.flush()
    assert written == [b"2", b"3", b"4"]
    assert outbox.empty() and not outbox.all_written()
