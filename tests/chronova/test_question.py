from __future__ import annotations

import pytest

from chronova.domains import load_handlers
from chronova.question import Question
from commands.compute.unknown_guest import RemoveUnknownGuest
from events import topics
from events.log.contract import LogUnavailable
from events.log.memory import Cluster, MemoryLog
from events.outcome import CommandRefused
from handlers.decider import Decider


def test_a_command_is_answered_by_the_facts_of_its_decision() -> None:
    load_handlers()
    cluster = Cluster(lambda: 1_800_000_000_000_000)
    for topic in topics.all_topics(2):
        cluster.create(topic)
    log = MemoryLog(cluster=cluster)
    question = Question(log, RemoveUnknownGuest(host="h", server_id="s"), "project")
    decider = Decider(MemoryLog(cluster=cluster, process="decider"), ["compute"])
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
