"""Writes are timed with their outcome; all else is the log's own."""

from __future__ import annotations

import pytest

from chronova.metrics.measured_log import MeasuredLog
from events.log import open_log
from events.log.contract import Log, LogUnavailable, Outgoing, RecordTooLarge, Topic


class Written:
    """What was told."""

    def __init__(self) -> None:
        self.writes: list[tuple[str, str, int]] = []

    def wrote(self, kind: str, outcome: str, records: int, seconds: float) -> None:
        assert seconds >= 0
        self.writes.append((kind, outcome, records))


def test_every_write_is_told_with_its_outcome() -> None:
    written = Written()
    log = MeasuredLog(open_log("memory:", now=lambda: 1), written)
    log.create_topics([Topic("in", 1), Topic("out", 1)])
    log.append([Outgoing("in", "k", b"one"), Outgoing("in", "k", b"two")])
    writer = log.begin_term(("out", 0), Outgoing("out", "term", b"term", {}, 0))
    assert log.commit([(writer, [Outgoing("out", "k", b"one")])]) == [1]
    with pytest.raises(RecordTooLarge):
        log.append([Outgoing("in", "k", b"x" * (log.record_bytes_max + 1))])
    assert written.writes == [
        ("append", "ok", 2),
        ("commit", "ok", 1),
        ("append", "RecordTooLarge", 1),
    ]
    reader = log.reader({("out", 0): 0})
    assert [record.value for record in reader.poll(0)] == [b"term", b"one"]
    assert log.partitions("out") == 1
    assert log.ends([("out", 0)]) == {("out", 0): 2}
    log.close()


def test_something_is_done_before_the_first_write() -> None:
    done: list[str] = []

    def before(log: Log) -> None:
        done.append("tried")
        if len(done) == 1:
            raise LogUnavailable("not now")

    log = MeasuredLog(open_log("memory:", now=lambda: 1), Written(), before)
    log.create_topics([Topic("in", 1), Topic("out", 1)])
    with pytest.raises(LogUnavailable):
        log.append([Outgoing("in", "k", b"one")])
    assert log.ends([("in", 0)]) == {("in", 0): 0}
    log.begin_term(("out", 0), Outgoing("out", "term", b"term", {}, 0))
    log.append([Outgoing("in", "k", b"one")])
    assert done == ["tried", "tried"]
