"""The pace of a loop: one record never waits, of many each waits a little."""

from __future__ import annotations

import pytest

from events.log.pace import Pace


class Time:
    """A clock, and what was slept."""

    def __init__(self) -> None:
        self.now = 50.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def paced(time: Time) -> Pace:
    return Pace(interval_s=0.005, busy_per_s=300, clock=lambda: time.now, sleep=time.sleep)


def test_a_quiet_loop_never_waits() -> None:
    time = Time()
    pace = paced(time)
    for _ in range(100):
        pace.pause()
        time.now += 0.004
        pace.took(1)
    assert time.slept == []


def test_a_busy_loop_waits_for_the_rest_of_its_interval() -> None:
    time = Time()
    pace = paced(time)
    for _ in range(20):
        pace.pause()
        time.now += 0.001
        pace.took(20)
    assert time.slept[-1] == pytest.approx(0.004)


def test_one_large_batch_delays_nothing_after_it() -> None:
    time = Time()
    pace = paced(time)
    pace.pause()
    pace.took(500)
    time.now += 1.0
    pace.pause()
    pace.took(1)
    pace.pause()
    assert time.slept == []
