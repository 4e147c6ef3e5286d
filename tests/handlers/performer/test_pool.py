"""A thread of a pool outlives whatever a call raises."""

from __future__ import annotations

import threading

import pytest
from structlog.testing import capture_logs

from handlers.performer import pool as pools
from handlers.performer.pool import DaemonPool

LIMIT_S = 20.0


def raising(error: BaseException) -> None:
    raise error


def passed(pool: DaemonPool) -> None:
    """Everything submitted before was done, by the pool's only thread."""
    done = threading.Event()
    pool.submit(done.set)
    assert done.wait(LIMIT_S), "the call never ran"


@pytest.mark.parametrize("error", [KeyError("a defect"), SystemExit(1)])
def test_what_comes_after_a_call_that_raises_is_done(error: BaseException) -> None:
    """The thread died, and the pool was smaller for good."""
    counted: list[int] = []
    pool = DaemonPool(1, "test", lambda: counted.append(1))
    with capture_logs() as logs:
        pool.submit(raising, error)
        passed(pool)
    assert (pool.failures, counted) == (1, [1])
    (line,) = logs
    assert (line["event"], line["pool"], line["log_level"]) == ("call_failed", "test", "error")
    assert repr(error).split("(")[0] in line["exception"] and "in raising" in line["exception"]
    pool.close()


def test_what_is_logged_of_failures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "TELL_EVERY_S", 3600.0)
    pool = DaemonPool(1, "test")
    with capture_logs() as logs:
        for n in range(5):
            pool.submit(raising, KeyError("x" * 100_000, n))
        passed(pool)
    (line,) = logs
    assert len(line["exception"]) == pools.TRACEBACK_CHARS
    assert pool.failures == 5, "all are counted"
    pool.close()


def test_a_count_that_cannot_be_kept_costs_no_thread() -> None:
    pool = DaemonPool(1, "test", lambda: raising(OSError("a full disk")))
    with capture_logs() as logs:
        pool.submit(raising, KeyError("a defect"))
        passed(pool)
    assert [line["event"] for line in logs] == ["call_failed"]
    pool.close()


def test_a_thread_that_cannot_be_started_costs_neither_its_place_nor_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The call was lost, and the pool was smaller for good."""
    right, may_start = threading.Thread.start, False

    def start(thread: threading.Thread) -> None:
        if not may_start:
            raise RuntimeError("can't start new thread")
        right(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    pool, gate, ran = DaemonPool(2, "test"), threading.Event(), threading.Event()
    with pytest.raises(RuntimeError):
        pool.submit(ran.set)
    may_start = True
    pool.submit(gate.wait, LIMIT_S)
    may_start = False
    pool.submit(ran.set)
    assert not ran.is_set(), "it waits for the only thread"
    gate.set()
    assert ran.wait(LIMIT_S)
    gate.clear()
    pool.submit(gate.wait, LIMIT_S)
    may_start, again = True, threading.Event()
    pool.submit(again.set)
    assert again.wait(LIMIT_S), "by the second one"
    gate.set()
    pool.close()
