"""The log in memory: the faults that a simulation orders from it."""

from __future__ import annotations

import pytest

from events.log.contract import Fenced, LogError, LogUnavailable, Outgoing, Topic
from events.log.memory import Cluster, Crash, Fault, MemoryLog, Operation
from tests.events.log.site import outgoing, read_to_end


class Weather:
    """Faults by the operation they are due for, each once."""

    def __init__(self) -> None:
        self.due: dict[str, Fault] = {}
        self.seen: list[Operation] = []

    def __call__(self, operation: Operation) -> Fault | None:
        self.seen.append(operation)
        return self.due.pop(operation.name, None)


@pytest.fixture
def weather() -> Weather:
    return Weather()


@pytest.fixture
def cluster(weather: Weather) -> Cluster:
    cluster = Cluster(lambda: 1_000, faults=weather)
    MemoryLog(cluster=cluster).create_topics([Topic("commands", 2), Topic("events", 1)])
    return cluster


def events(cluster: Cluster) -> list[bytes]:
    reader = MemoryLog(cluster=cluster).reader({("events", 0): 0})
    return [record.value for record in read_to_end(reader)]


TERM = Outgoing("events", "term", b"term", {"ce_type": "test.TermBegan"}, 0)


@pytest.mark.parametrize(
    ("fault", "kind", "written"),
    [
        (Fault.UNAVAILABLE, LogUnavailable, False),
        (Fault.UNAVAILABLE_AFTER, LogUnavailable, True),
        (Fault.REFUSED, LogError, False),
    ],
)
def test_a_commit_happens_wholly_or_not(
    cluster: Cluster, weather: Weather, fault: Fault, kind: type[LogError], written: bool
) -> None:
    log = MemoryLog(cluster=cluster, process="decider-1")
    writer = log.begin_term(("events", 0), TERM)
    weather.due["commit"] = fault
    (outcome,) = log.commit([(writer, outgoing("events", "x", "y"))])
    assert isinstance(outcome, kind)
    assert events(cluster) == ([b"term", b"x", b"y"] if written else [b"term"])
    (outcome,) = log.commit([(writer, outgoing("events", "z"))])
    assert isinstance(outcome, Fenced), "the outcome was unknown: this writer has ended"


@pytest.mark.parametrize(("fault", "written"), [(Fault.CRASH, False), (Fault.CRASH_AFTER, True)])
def test_a_process_may_end_before_or_after_a_commit(
    cluster: Cluster, weather: Weather, fault: Fault, written: bool
) -> None:
    log = MemoryLog(cluster=cluster, process="decider-1")
    writer = log.begin_term(("events", 0), TERM)
    weather.due["commit"] = fault
    with pytest.raises(Crash):
        log.commit([(writer, outgoing("events", "x"))])
    assert events(cluster) == ([b"term", b"x"] if written else [b"term"])


@pytest.mark.parametrize(
    ("fault", "raised", "copies"),
    [
        (Fault.UNAVAILABLE, LogUnavailable, 0),
        (Fault.UNAVAILABLE_AFTER, LogUnavailable, 1),
        (Fault.CRASH, Crash, 0),
        (Fault.CRASH_AFTER, Crash, 1),
        (Fault.DUPLICATE, None, 2),
    ],
)
def test_an_append_fails_as_ordered(
    cluster: Cluster,
    weather: Weather,
    fault: Fault,
    raised: type[BaseException] | None,
    copies: int,
) -> None:
    weather.due["append"] = fault
    log = MemoryLog(cluster=cluster)
    if raised is None:
        assert list(log.append(outgoing("events", "x"))) == [0]
    else:
        with pytest.raises(raised):
            log.append(outgoing("events", "x"))
    assert events(cluster) == [b"x"] * copies


def test_what_a_fenced_writer_wrote_lies_there_and_is_void(cluster: Cluster) -> None:
    """As on a broker that has forgotten its epoch: readers have to know the rule."""
    zombie = MemoryLog(cluster=cluster, process="stopped")
    old = zombie.begin_term(("events", 0), TERM)
    MemoryLog(cluster=cluster, process="heir").begin_term(("events", 0), TERM)
    (outcome,) = zombie.commit([(old, outgoing("events", "late"))])
    assert isinstance(outcome, Fenced)
    assert events(cluster) == [b"term", b"term", b"late"]


def test_a_member_that_was_expelled_comes_back_as_another(cluster: Cluster) -> None:
    log = MemoryLog(cluster=cluster, process="stopped")
    member = log.membership("group", ["commands"])
    held = set(member.poll(0).assigned)
    log.expel()
    polled = member.poll(0)
    assert set(polled.revoked) == set(polled.assigned) == held


def test_faults_are_asked_by_process_and_operation(cluster: Cluster, weather: Weather) -> None:
    MemoryLog(cluster=cluster, process="api").append(outgoing("events", "x"))
    assert weather.seen[-1] == Operation("append", "api")


def test_a_crash_is_not_caught_as_an_error() -> None:
    assert not issubclass(Crash, Exception)


def test_retention_forgets_the_old_but_no_events() -> None:
    time = [1_000_000]
    log = MemoryLog(lambda: time[0])
    log.create_topics([Topic("replies", 1, retention_ms=10)])
    with pytest.raises(ValueError, match="for ever"):
        log.create_topics([Topic("compute.events", 1, retention_ms=10)])
    log.append(outgoing("replies", "0", "1"))
    time[0] += 10_001
    log.append(outgoing("replies", "2"))
    reader = log.reader({("replies", 0): 0})
    assert [(r.offset, r.value) for r in read_to_end(reader)] == [(2, b"2")]
