"""The projector as a process: it builds, follows, hands over, and outlives its neighbours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from events import topics
from events.compute.server import facts as f
from events.log.contract import Outgoing
from events.log.postgres import PostgresLog
from events.topics import all_topics
from projections import aside, builds, verify
from projections.connection import Connection, connect
from projections.failures import ProjectionError, ProjectionSuperseded
from projections.heal import heal
from projections.model import ReadModel, read_model
from projections.projector import Projector
from projections.rebuild import rebuild
from projections.waiting import PositionWaiter
from tests.projections.recorder import START, Recorder, boot, created, power
from tests.projections.tables import rows
from tests.projections.test_aside import model_of, too_large_a_number

if TYPE_CHECKING:
    from tests.parts.postgres import PostgresServer

EVENTS = topics.events("compute")
LIMIT_S = 30.0


@contextmanager
def running(projector: Projector) -> Iterator[list[BaseException]]:
    """The projector in a thread; what it raised. It is stopped at the end."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            projector.run()
        except ProjectionError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield raised
    finally:
        projector.stop()
        thread.join(LIMIT_S)
        assert not thread.is_alive()


def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition, with a limit."""
    deadline = time.monotonic() + LIMIT_S
    tick = threading.Event()
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        tick.wait(0.01)


@pytest.fixture
def waiter(url: str) -> Iterator[PositionWaiter]:
    made = PositionWaiter(url)
    yield made
    made.close()


def test_it_builds_then_follows_event_by_event(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder, waiter: PositionWaiter
) -> None:
    recorder.append(boot("one"))
    observed: list[tuple[int, float]] = []
    projector = Projector(log, url, observe=lambda events, lag_s: observed.append((events, lag_s)))
    with running(projector) as raised:
        assert waiter.wait(EVENTS, 0, 5, LIMIT_S)
        for n, event in enumerate(power("one", START + 100)):
            recorder.append([event])
            assert waiter.wait(EVENTS, 0, 6 + n, LIMIT_S)
            query = "SELECT sequence FROM projection_live.servers"
            assert rows(control, query) == [(6 + n,)], "what is announced can be read"
    assert not raised
    assert sum(events for events, _ in observed) == 4
    assert all(0 <= lag_s < LIMIT_S for _, lag_s in observed)
    assert verify.verify(log, url).equal


def test_it_goes_on_with_a_build_that_was_switched_under_it(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder, waiter: PositionWaiter
) -> None:
    recorder.append(boot("one"))
    with running(Projector(log, url)) as raised:
        assert waiter.wait(EVENTS, 0, 5, LIMIT_S)
        for n in range(3):
            rebuild(log, url)
            recorder.append(boot(f"more-{n}"))
            assert waiter.wait(EVENTS, 0, 10 + 5 * n, LIMIT_S)
    assert not raised
    live = builds.live_build(control)
    assert live is not None and live.build == 4
    assert verify.verify(log, url).equal


def test_a_second_one_stands_by_and_takes_over(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder, waiter: PositionWaiter
) -> None:
    first, second = Projector(log, url), Projector(log, url)
    with running(second) as raised:
        with running(first):
            recorder.append(boot("one"))
            assert waiter.wait(EVENTS, 0, 5, LIMIT_S)
        recorder.append(power("one", START + 100))
        assert waiter.wait(EVENTS, 0, 9, LIMIT_S)
    assert not raised
    assert verify.verify(log, url).equal


def test_a_killed_session_and_a_stopped_server_delay_it_only(
    database: PostgresServer, url: str, recorder: Recorder, log: PostgresLog, waiter: PositionWaiter
) -> None:
    with running(Projector(log, url)) as raised:
        recorder.append(boot("one"))
        assert waiter.wait(EVENTS, 0, 5, LIMIT_S)
        control = connect(url, "test")
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ="
        rows(control, f"{query} 'chronova-projector' AND datname = current_database()")
        control.close()
        recorder.append(boot("two"))
        assert waiter.wait(EVENTS, 0, 10, LIMIT_S)
        database.kill()
        database.start()
        recorder.append(boot("three"))
        assert waiter.wait(EVENTS, 0, 15, LIMIT_S)
    assert not raised
    assert verify.verify(log, url).equal


def test_it_waits_for_topics_that_are_not_there_yet(url: str, waiter: PositionWaiter) -> None:
    log = PostgresLog(url)
    with running(Projector(log, url)) as raised:
        assert not waiter.wait(EVENTS, 0, 5, 0.2)
        log.create_topics(all_topics(2))
        Recorder(log).append(boot("one"))
        assert waiter.wait(EVENTS, 0, 5, LIMIT_S)
    assert not raised
    log.close()


def test_another_version_builds_beside_and_the_old_projector_ends(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder, waiter: PositionWaiter
) -> None:
    recorder.append(boot("one"))
    model = read_model()
    newer = ReadModel(
        model.metadata,
        {
            n: type(p)(p.aggregate, p.table, p.row, p.version + 1)
            for n, p in model.projected.items()
        },
        model.aggregates,
        model.followed,
    )
    with running(Projector(log, url)) as old:
        assert waiter.wait(EVENTS, 0, 5, LIMIT_S)
        with running(Projector(log, url, model=newer)) as new:
            until(lambda: [b.build for b in builds.builds(control) if b.state == "live"] == [2])
            recorder.append(power("one", START + 100))
            assert waiter.wait(EVENTS, 0, 9, LIMIT_S)
            until(lambda: bool(old))
        assert not new
    assert isinstance(old[0], ProjectionSuperseded)
    assert "build 2 is live now and made by another version" in str(old[0])
    assert rows(control, "SELECT sequence FROM projection_1.servers") == [(5,)]
    assert verify.verify(log, url, model=newer).equal


def test_a_gap_in_one_partition_does_not_stop_the_others(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder, waiter: PositionWaiter
) -> None:
    with running(Projector(log, url)) as raised:
        recorder.append(boot("one"))
        assert waiter.wait(EVENTS, 0, 5, LIMIT_S)
        lost = recorder.outgoing(created("two"))
        assert isinstance(lost, Outgoing)
        recorder.append([created("three")])
        recorder.append(boot("four"), 1)
        assert waiter.wait(EVENTS, 1, 5, LIMIT_S)
        until(lambda: bool(aside.waiting(control, "projection_live")))
    assert raised == []
    (found,) = aside.waiting(control, "projection_live")
    assert (found.source, found.offset) == ((EVENTS, 0), 5)
    assert "has position 7 where 6 must follow" in found.error


def test_healing_under_a_running_projector(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder, waiter: PositionWaiter
) -> None:
    """It opens again by itself and goes on with what was healed."""
    ill = model_of(too_large_a_number, renamed="name of bad")
    with running(Projector(log, url, model=ill)) as raised:
        recorder.append(boot("bad") + boot("two"))
        assert waiter.wait(EVENTS, 0, 10, LIMIT_S)
        assert [note.id for note in aside.notes(control, "projection_live")] == ["bad"]
        recorder.append([f.ServerRenamed(at=START + 90, server_id="bad", server_name="good")])
        assert waiter.wait(EVENTS, 0, 11, LIMIT_S)
        assert heal(log, url).healed == ["server/bad"]
        recorder.append(power("bad", START + 100))
        assert waiter.wait(EVENTS, 0, 15, LIMIT_S)
    assert raised == []
    assert verify.verify(log, url).equal
