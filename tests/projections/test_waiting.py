"""Waiting for positions: told at once, never told too early, and found again after a loss."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator

import pytest

from events import topics
from events.log.postgres import PostgresLog
from projections import builds
from projections.connection import Connection
from projections.model import read_model
from projections.rebuild import rebuild
from projections.waiting import PositionWaiter, Reached
from tests.projections.recorder import START, Recorder, boot, power
from tests.projections.tables import catch_up, follower, rows

EVENTS = topics.events("compute")
LONG_S = 20.0


@pytest.fixture
def waiter(url: str) -> Iterator[PositionWaiter]:
    made = PositionWaiter(url)
    yield made
    made.close()


def live_follower(control: Connection, log: PostgresLog, url: str) -> object:
    live = builds.live_build(control)
    assert live is not None
    return follower(log, url, live, live=True)


def listeners(control: Connection) -> list[int]:
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'chronova-positions'"
    return [pid for (pid,) in rows(control, f"{query} AND datname = current_database()")]


def test_many_threads_wait_and_each_is_told(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder, waiter: PositionWaiter
) -> None:
    rebuild(log, url)
    one = live_follower(control, log, url)
    told: dict[tuple[int, int], bool] = {}

    def wait(partition: int, position: int) -> None:
        told[partition, position] = waiter.wait(EVENTS, partition, position, LONG_S)

    wanted = [(n % 3, 1 + n % 5) for n in range(40)]
    threads = [threading.Thread(target=wait, args=place) for place in wanted]
    for thread in threads:
        thread.start()
    for partition in range(3):
        recorder.append(boot(f"server-{partition}", START, f"project-{partition}"), partition)
    catch_up(one)  # type: ignore[arg-type]
    for thread in threads:
        thread.join(LONG_S)
    assert set(told) == set(wanted) and all(told.values())
    assert waiter.wait(EVENTS, 0, 5, 0.0), "what is reached needs no waiting"
    one.close()  # type: ignore[attr-defined]


def test_a_wait_ends_when_its_time_is_over(
    log: PostgresLog, url: str, recorder: Recorder, waiter: PositionWaiter
) -> None:
    rebuild(log, url)
    recorder.append(boot("one"))
    began = time.monotonic()
    assert not waiter.wait(EVENTS, 0, 5, 0.2)
    assert 0.2 <= time.monotonic() - began < 5


def test_there_need_not_be_any_projection_yet(
    log: PostgresLog, url: str, recorder: Recorder, waiter: PositionWaiter
) -> None:
    assert not waiter.wait(EVENTS, 0, 1, 0.1)
    recorder.append(boot("one"))
    rebuild(log, url)
    assert waiter.wait(EVENTS, 0, 5, LONG_S), "the switch announces all positions"


def test_positions_reached_while_the_connection_was_lost_are_found(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder, waiter: PositionWaiter
) -> None:
    rebuild(log, url)
    one = live_follower(control, log, url)
    recorder.append(boot("one"))
    catch_up(one)  # type: ignore[arg-type]
    assert waiter.wait(EVENTS, 0, 5, LONG_S)
    recorder.append(power("one", START + 100))
    (lost,) = listeners(control)
    assert rows(control, f"SELECT pg_terminate_backend({lost}, 10000)") == [(True,)]
    catch_up(one)  # type: ignore[arg-type]
    assert waiter.wait(EVENTS, 0, 9, LONG_S)
    assert listeners(control) != [lost]
    one.close()  # type: ignore[attr-defined]


def test_after_a_restore_from_an_older_copy_old_positions_do_not_count(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder, waiter: PositionWaiter
) -> None:
    recorder.append(boot("one"))
    rebuild(log, url)
    assert waiter.wait(EVENTS, 0, 5, LONG_S)
    rows(control, 'UPDATE projection_live.positions SET position = 2, "offset" = 2 RETURNING 1')
    (lost,) = listeners(control)
    rows(control, f"SELECT pg_terminate_backend({lost}, 10000)")
    assert waiter.wait(EVENTS, 1, 2, LONG_S), "the positions have been read again"
    assert not waiter.wait(EVENTS, 0, 5, 0.1)


def test_closing_ends_the_thread_and_may_be_done_twice(url: str, control: Connection) -> None:
    waiter = PositionWaiter(url)
    waiter.wait(EVENTS, 0, 1, 0.05)
    waiter.close()
    waiter.close()
    assert not [t for t in threading.enumerate() if t.name == "positions"]
    assert not waiter.wait(EVENTS, 0, 1, 0.05)


def test_lower_positions_never_wake_and_higher_ones_do() -> None:
    reached = Reached()
    source = (EVENTS, 0)
    reached.advance([(source, 4)])
    assert not reached.wait(source, 5, 0.01)
    assert reached.wait(source, 4, 0.0)
    reached.advance([(source, 3)])
    assert reached.wait(source, 4, 0.0)
    reached.replace({source: 3})
    assert not reached.wait(source, 4, 0.01)


def test_it_tells_whose_events_show(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    rebuild(log, url)
    one = live_follower(control, log, url)
    told: list[set[str]] = []
    begun = threading.Event()

    def tell(shown: Collection[str]) -> None:
        told.append(set(shown))
        begun.set()

    waiter = PositionWaiter(url, tell)
    waiter.listen()
    assert begun.wait(LONG_S)
    recorder.append(boot("one"))
    catch_up(one)  # type: ignore[arg-type]
    assert waiter.wait(EVENTS, 0, 5, LONG_S)
    assert told[-1] == {EVENTS}
    told.clear()
    (lost,) = listeners(control)
    rows(control, f"SELECT pg_terminate_backend({lost}, 10000)")
    recorder.append(power("one", START + 100))
    catch_up(one)  # type: ignore[arg-type]
    assert waiter.wait(EVENTS, 0, 9, LONG_S)
    assert {topics.events(domain) for domain in read_model().domains} in told, "missed anything"
    waiter.close()
    one.close()  # type: ignore[attr-defined]


def test_a_thread_that_fails_is_not_passed_over(log: PostgresLog, url: str) -> None:
    rebuild(log, url)
    failed = threading.Event()
    reasons: list[str] = []

    def told(topics: Collection[str]) -> None:
        raise ZeroDivisionError("a defect in what is called")

    def unexpected(reason: str) -> None:
        reasons.append(reason)
        failed.set()

    made = PositionWaiter(url, told, unexpected)
    made.listen()
    assert failed.wait(LONG_S)
    made.close()
    assert "thread positions failed" in reasons[0]
    assert "ZeroDivisionError: a defect in what is called" in reasons[0]
