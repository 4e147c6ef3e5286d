"""What bounds the performer, and how it ends."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from commands.compute.progress import ReportProgress
from events.log.contract import LogUnavailable
from events.log.memory import Fault
from events.message import Command, Context
from handlers.performer import outbox as boxes
from handlers.performer import performer as loop
from handlers.performer.perform import PROGRESS_EVERY
from handlers.performer.piece import Task
from handlers.performer.pool import DaemonPool
from tests.handlers.performer.rig import NOW, Rig, about, done, stop

# ----------------------------------------------------------- bounds and deaths


def test_no_work_is_begun_while_too_much_is_unreported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "RECORDS_MAX", 2)
    rig = Rig()
    rig.fault = lambda o: Fault.UNAVAILABLE if o == ("append", "agent") else None
    for number in range(5):
        rig.tell(stop(server=f"s{number}"))
    for _ in range(10):
        with pytest.raises(LogUnavailable):
            rig.performer.step(0.0)
    assert len(rig.outcomes) == 2
    rig.fault = lambda o: None
    rig.steps(10)
    assert rig.reported() == ["ReportGuestStopped"] * 5


def test_progress_is_left_out_while_too_much_is_unreported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fetch of hours, with the log away, filled the memory. How it ended is said."""
    monkeypatch.setattr(boxes, "RECORDS_MAX", 2)
    rig = Rig()

    def perform(work: Any, task: Task) -> Command:
        for _ in range(50):
            rig.now += PROGRESS_EVERY
            task.progress(lambda: ReportProgress(step="image", **about(work)))
        return done(work)

    rig.perform = perform
    rig.tell(stop())
    rig.steps()
    assert rig.reported() == ["ReportProgress"] * 2 + ["ReportGuestStopped"]


def test_a_defect_of_the_performer_ends_the_process() -> None:
    rig = Rig()

    def work(kind: str, outcome: str, seconds: float) -> None:
        raise ZeroDivisionError

    rig.work = work  # type: ignore[method-assign]
    rig.tell(stop())
    with pytest.raises(ZeroDivisionError):
        rig.steps()


class Gate:
    """Work that goes on until it is let through or called off."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.through = threading.Event()
        self.off = threading.Event()

    def perform(self, work: Any, task: Task) -> Command:
        self.begun.set()
        task.on_called_off(self.off.set)
        task.on_called_off(self.through.set)
        assert self.through.wait(20)
        task.proceed()
        return done(work)


def under_way(long: bool) -> tuple[Rig, Gate]:
    rig, gate = Rig(DaemonPool(2, "test"), long=long), Gate()
    rig.perform = gate.perform
    rig.tell(stop())
    rig.steps()
    assert gate.begun.wait(20)
    return rig, gate


def test_long_work_is_abandoned_at_the_end_and_done_after_the_next_start() -> None:
    rig, gate = under_way(long=True)
    rig.performer.close()
    assert gate.off.is_set()
    assert rig.outcomes == ["cancelled"]
    assert rig.reported() == []
    rig.perform = lambda work, task: done(work)
    rig.pool = None
    rig.start()
    rig.steps()
    assert rig.reported() == ["ReportGuestStopped"]


def test_finished_work_is_reported_while_other_work_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Everything was waited for first, while finished reports lay in memory."""
    rig, gate = under_way(long=False)
    seen: list[list[str]] = []
    rig.performer.send(done(stop(server="other")), Context(id="x", time=NOW), "p")
    right = rig.performer._flush_if_possible

    def flush() -> None:
        right()
        seen.append(rig.reported())
        gate.through.set()

    monkeypatch.setattr(rig.performer, "_flush_if_possible", flush)
    rig.performer.close()
    assert seen[0] == ["ReportGuestStopped"], "while the other was still under way"
    assert not gate.off.is_set()
    assert rig.reported() == ["ReportGuestStopped"] * 2


def test_short_work_that_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "DRAIN_S", 0.1)
    rig, gate = under_way(long=False)
    rig.performer.close()
    assert gate.off.is_set()


def test_newer_work_calls_off_what_is_under_way() -> None:
    rig, gate = under_way(long=True)
    rig.tell(stop(3))
    rig.steps()
    assert gate.off.wait(20)
    rig.performer.close()
    assert rig.outcomes[0] == "superseded"


def test_what_waits_for_its_turn_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each said so every minute, for as long as the log was away."""
    rig, gate = Rig(DaemonPool(1, "test"), long=True), Gate()
    rig.perform = gate.perform
    rig.tell(stop())
    rig.tell(stop(server="second"))
    rig.steps()
    assert gate.begun.wait(20)
    monkeypatch.setattr(boxes, "RECORDS_MAX", 1)
    rig.fault = lambda o: Fault.UNAVAILABLE if o == ("append", "agent") else None
    for _ in range(5):
        rig.performer._moved_at = rig.now + 1
        rig.now += loop.QUEUED_EVERY
        with pytest.raises(LogUnavailable):
            rig.performer.step(0.0)
    rig.fault = lambda o: None
    rig.steps()
    assert rig.reported() == ["ReportProgress"]
    rig.performer.close()


def test_what_waits_for_its_turn_says_so_while_others_make_progress() -> None:
    """Builds that were asked for together ran out of time behind the first ones' fetches."""
    rig, gate = Rig(DaemonPool(1, "test"), long=True), Gate()
    rig.perform = gate.perform
    rig.tell(stop())
    rig.tell(stop(server="second"))
    rig.steps()
    assert gate.begun.wait(20)
    rig.now += loop.QUEUED_EVERY
    rig.steps()
    assert rig.reported() == [], "nothing has moved"
    rig.performer._moved_at = rig.now + 1
    rig.now += loop.QUEUED_EVERY
    rig.steps()
    ((id, report),) = rig.reports()
    assert (report.server_id, report.step) == ("second", "queued")
    assert id.endswith(":compute.ReportProgress")
    rig.performer.close()
