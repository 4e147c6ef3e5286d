"""The log in memory: the faults that a simulation orders from it."""

from __future__ import annotations

import pytest

from events.log.contract import Fenced, LogUnavailable, Topic
from events.log.memory import Cluster, Crash, Fault, MemoryLog, Operation
from tests.events.log.site import Consumer, after, outgoing, read_to_end


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


def busy(cluster: Cluster, process: str) -> tuple[MemoryLog, Consumer]:
    """A process whose member has read one command."""
    log = MemoryLog(cluster=cluster, process=process)
    log.append(outgoing("commands", "0"))
    consumer = Consumer(log.member("group", ["commands"]))
    consumer.take(1)
    return log, consumer


@pytest.mark.parametrize(
    ("fault", "raised", "written"),
    [
        (Fault.UNAVAILABLE, LogUnavailable, False),
        (Fault.UNAVAILABLE_AFTER, LogUnavailable, True),
        (Fault.CRASH, Crash, False),
        (Fault.CRASH_AFTER, Crash, True),
    ],
)
def test_a_transaction_happens_wholly_or_not(
    cluster: Cluster, weather: Weather, fault: Fault, raised: type[BaseException], written: bool
) -> None:
    log, consumer = busy(cluster, "decider-1")
    weather.due["transact"] = fault
    with pytest.raises(raised):
        consumer.worker.transact(outgoing("events", "x"), after(consumer.records))
    assert events(cluster) == ([b"x"] if written else [])
    log.expel()
    heir = Consumer(MemoryLog(cluster=cluster).member("group", ["commands"]))
    heir.until_owns(2)
    heir.step()
    assert [record.value for record in heir.records] == ([] if written else [b"0"])


def test_rewind_after_a_lost_answer_shows_what_happened(cluster: Cluster, weather: Weather) -> None:
    _, consumer = busy(cluster, "decider-1")
    weather.due["transact"] = Fault.UNAVAILABLE_AFTER
    with pytest.raises(LogUnavailable):
        consumer.worker.transact(outgoing("events", "x"), after(consumer.records))
    consumer.worker.rewind()
    consumer.step()
    assert not consumer.step().records
    assert events(cluster) == [b"x"]


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


def test_a_zombie_is_fenced_and_comes_back_as_another_member(cluster: Cluster) -> None:
    log, zombie = busy(cluster, "stopped")
    heir = Consumer(MemoryLog(cluster=cluster, process="heir").member("group", ["commands"]))
    zombie.step()
    heir.step()
    held = set(zombie.owned)
    log.expel()
    heir.until_owns(2)
    with pytest.raises(Fenced):
        zombie.worker.transact(outgoing("events", "of a zombie"), {next(iter(held)): 1})
    assert set(zombie.step().revoked) == held
    zombie.until_owns(1)
    heir.until_owns(1)
    assert events(cluster) == []


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
