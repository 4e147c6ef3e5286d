from __future__ import annotations

import pytest

from chronova.domains import load_handlers
from chronova.question import Question
from commands.compute.unknown_guest import RemoveUnknownGuest
from events import topics
from events.log.contract import LogUnavailable
from events.log.memory import Cluster, Crash, Fault, MemoryLog, Operation
from events.outcome import CommandRefused
from handlers.decider import Decider


def test_a_command_is_answered_by_the_facts_of_its_decision() -> None:
    load_handlers()
    cluster = Cluster(lambda: 1_800_000_000_000_000)
    for topic in topics.all_topics(2):
        cluster.create(topic)
    log = MemoryLog(cluster=cluster)
    question = Question(log, RemoveUnknownGuest(host="h", server_id="s"), "project")
    decider = Decider(MemoryLog(cluster=cluster, process="decider"), ["compute"], threaded=False)
    for _ in range(5):
        decider.step(0.0)
    (event,) = question.answer(5.0)
    assert isinstance(event, CommandRefused)
    assert event.status == 404


def test_no_answer_in_time_is_said() -> None:
    cluster = Cluster(lambda: 0)
    for topic in topics.all_topics(1):
        cluster.create(topic)
    question = Question(
        MemoryLog(cluster=cluster), RemoveUnknownGuest(host="h", server_id="s"), "project"
    )
    with pytest.raises(LogUnavailable, match="may still count"):
        question.answer(-1.0)


@pytest.mark.parametrize("fault", [Fault.CRASH, Fault.CRASH_AFTER])
def test_a_refusal_counts_when_it_is_committed(fault: Fault) -> None:
    """Its decider ends before or after it commits what it refused."""
    load_handlers()
    struck: list[Operation] = []

    def strike(operation: Operation) -> Fault | None:
        if operation.name != "commit" or struck:
            return None
        struck.append(operation)
        return fault

    cluster = Cluster(lambda: 1_800_000_000_000_000, faults=strike)
    for topic in topics.all_topics(2):
        cluster.create(topic)
    command = RemoveUnknownGuest(host="h", server_id="s")
    question = Question(MemoryLog(cluster=cluster), command, "project")
    decider = Decider(MemoryLog(cluster=cluster, process="decider"), ["compute"], threaded=False)
    with pytest.raises(Crash):
        for _ in range(5):
            decider.step(0.0)
    assert any(cluster.partitions[topics.refusals("compute"), n].records for n in range(2))
    if fault is Fault.CRASH:
        with pytest.raises(LogUnavailable, match="nobody committed it in time"):
            question.answer(-1.0)
    else:
        (event,) = question.answer(5.0)
        assert isinstance(event, CommandRefused)
