"""A record waits no longer than it may, also where it waits first and is written then."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from api.log_appender import WRITES_S_MIN, GroupAppender
from events.log.contract import LogUnavailable, Outgoing

TIMEOUT_S = 30.0
RECORD = Outgoing("compute.commands", "key", b"value", {})


class AwayLog:
    """Takes nothing. Each append ends when the test says so, and tells how long it might take."""

    def __init__(self) -> None:
        self.limits_s: list[float] = []
        self.writing = threading.Semaphore(0)
        self.ends = threading.Semaphore(0)

    def append(self, records: Sequence[Outgoing], timeout_s: float) -> None:
        self.limits_s.append(timeout_s)
        self.writing.release()
        assert self.ends.acquire(timeout=60)
        raise LogUnavailable("away")


def test_what_was_waited_does_not_come_on_top(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 100.0
    monkeypatch.setattr("api.log_appender.time.monotonic", lambda: clock)
    log: Any = AwayLog()
    appender = GroupAppender(log)
    failed: list[BaseException] = []

    def append() -> None:
        try:
            appender.append(RECORD, TIMEOUT_S)
        except LogUnavailable as error:
            failed.append(error)

    threads = [threading.Thread(target=append) for _ in range(3)]
    for number, passes_s in enumerate((0.0, 20.0)):
        threads[number].start()
        while len(appender._queue) < number and threads[number].is_alive():
            threading.Event().wait(0.001)
        if number == 0:
            assert log.writing.acquire(timeout=60)
        clock += passes_s
    log.ends.release()
    assert log.writing.acquire(timeout=60)  # the second one, which waited for 20 s
    threads[2].start()
    while not appender._queue:
        threading.Event().wait(0.001)
    clock += TIMEOUT_S - 0.1
    log.ends.release()
    assert log.writing.acquire(timeout=60)  # the third one, whose time is almost over
    log.ends.release()
    for thread in threads:
        thread.join(60)
    assert log.limits_s == [TIMEOUT_S, 10.0, WRITES_S_MIN]
    assert len(failed) == 3
