"""How far the tables are behind: counted in events, also where offsets have gaps."""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from events import topics
from events.log.contract import Log, Topic
from events.log.kafka import KafkaLog
from events.log.postgres import PostgresLog
from projections.failures import ProjectionNotReady
from projections.lag import Lag
from projections.model import ReadModel, read_model
from projections.projector import Projector
from projections.rebuild import rebuild
from projections.waiting import PositionWaiter
from tests.projections.recorder import START, Recorder, boot
from tests.projections.test_projector import running, until

if TYPE_CHECKING:
    from tests.parts.broker import Broker

LIMIT_S = 60.0


def measured(log: Log, url: str, model: ReadModel, recorder: Recorder, domain: str) -> None:
    """A projection that is level, one that nobody follows, one that is behind."""
    events = topics.events(domain)
    lag = Lag(log, url, model)
    with pytest.raises(ProjectionNotReady):
        lag.measure()
    log.append(recorder.all(boot("server-1", START, "project"), 0, "req-1", domain))
    projector, waiter = Projector(log, url, model=model), PositionWaiter(url)
    thread = threading.Thread(target=projector.run)
    thread.start()
    try:
        assert waiter.wait(events, 0, recorder.positions[events, 0], LIMIT_S)
        deadline = time.monotonic() + LIMIT_S
        while not (level := lag.measure()).followed:
            assert time.monotonic() < deadline, "the projector never followed"
        assert (level.behind[events], level.seconds, level.followed) == (0, 0.0, True)
        assert level.version == model.version()
    finally:
        projector.stop()
        thread.join(LIMIT_S)
        waiter.close()
    more = recorder.all(boot("server-2", START, "project"), 0, "req-2", domain)
    for record in more:
        log.append([record])
    deadline = time.monotonic() + LIMIT_S
    while lag.measure().followed:
        assert time.monotonic() < deadline, "the projector's session never ended"
    behind = lag.measure()
    assert behind.behind[events] == len(more)
    assert 0 < behind.seconds < LIMIT_S
    lag.close()


def test_a_quiet_log_is_followed_all_the_time_of_a_rebuild(
    log: PostgresLog, url: str, recorder: Recorder
) -> None:
    """No batch comes that would show the projector that another build is live."""
    recorder.append(boot("one"))
    lag = Lag(log, url)
    ended, unfollowed = threading.Event(), 0

    def rebuilt() -> None:
        rebuild(log, url)
        ended.set()

    with running(Projector(log, url)) as raised:
        until(lambda: followed(lag))
        made = threading.Thread(target=rebuilt)
        made.start()
        while not ended.wait(0.01):
            unfollowed += not lag.measure().followed
        made.join()
        for _ in range(50):
            unfollowed += not lag.measure().followed
    lag.close()
    assert not raised
    assert unfollowed == 0


def test_no_reader_stays_open(log: PostgresLog, url: str, recorder: Recorder) -> None:
    """Its process would be sent all events for ever, because somebody once asked for its health."""
    recorder.append(boot("one"))
    rebuild(log, url)
    lag = Lag(log, url)
    assert lag.measure().behind["compute.events"] == 0
    assert not log._listener.parts
    recorder.append(boot("two"))
    assert lag.measure().behind["compute.events"] > 0
    assert not log._listener.parts
    lag.close()


def followed(lag: Lag) -> bool:
    try:
        return lag.measure().followed
    except ProjectionNotReady:
        return False


def test_on_postgres(url: str, log: PostgresLog, recorder: Recorder) -> None:
    measured(log, url, read_model(), recorder, "compute")


def test_on_kafka(broker: Broker, url: str) -> None:
    domain = f"domain{uuid.uuid4().hex[:8]}"
    model = read_model()
    only = ReadModel(model.metadata, model.projected, model.aggregates, {}, (domain,))
    log = KafkaLog(broker.bootstrap)
    log.create_topics([Topic(topics.events(domain), 2), Topic(topics.commands(domain), 1)])
    try:
        measured(log, url, only, Recorder(log), domain)
    finally:
        log.close()
