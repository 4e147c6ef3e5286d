"""What is remembered of topics' numbers of partitions."""

from __future__ import annotations

import pytest

from events.log.contract import TopicMismatch
from events.log.kafka_counts import AGE_S, PartitionCounts


class Topics:
    """Topics as they are, a clock, and how often was asked."""

    def __init__(self) -> None:
        self.there: dict[str, int] = {}
        self.time = 1000.0
        self.asked = 0
        self.counts = PartitionCounts(self._ask, lambda: self.time)

    def _ask(self, topic: str, timeout_s: float) -> int:
        self.asked += 1
        if topic not in self.there:
            raise TopicMismatch(f"no {topic}")
        return self.there[topic]


def test_a_number_is_asked_for_once_in_a_while() -> None:
    topics = Topics()
    topics.there["a"] = 3
    assert [topics.counts.of("a", 1.0) for _ in range(3)] == [3, 3, 3]
    assert topics.asked == 1
    topics.there["a"] = 5
    topics.time += AGE_S + 1
    assert topics.counts.of("a", 1.0) == 5


def test_a_failure_and_a_missing_topic_are_not_remembered() -> None:
    topics = Topics()
    with pytest.raises(TopicMismatch):
        topics.counts.of("a", 1.0)
    topics.there["a"] = 3
    assert topics.counts.of("a", 1.0) == 3
    topics.there["a"] = 5
    topics.counts.forget(["a"])
    assert topics.counts.of("a", 1.0) == 5
    del topics.there["a"]
    topics.time += AGE_S + 1
    with pytest.raises(TopicMismatch):
        topics.counts.of("a", 1.0)
    with pytest.raises(TopicMismatch):
        topics.counts.of("a", 1.0)


def test_what_was_just_made_need_not_be_asked_for() -> None:
    topics = Topics()
    topics.counts.note({"a": 4})
    assert topics.counts.of("a", 1.0) == 4
    assert topics.asked == 0
