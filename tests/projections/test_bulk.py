"""A long log read by several processes: the same tables, whatever becomes of the processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from functools import partial
from typing import Any

import pytest

from events.journal import Marked
from events.log.postgres import PostgresLog
from events.outcome import CommandRefused
from projections import builds, bulk, verify
from projections.connection import Connection
from projections.rebuild import Progress, Rebuild, rebuild
from tests.projections.recorder import START, Recorder
from tests.projections.tables import content
from tests.projections.test_rebuild import record


@pytest.fixture(autouse=True)
def any_log_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a test would have to write 20,000 events first."""
    monkeypatch.setattr(bulk, "EVENTS_MIN", 1)


def read_by(log: PostgresLog, url: str, **options: Any) -> Rebuild:
    """A rebuild with processes."""
    return Rebuild(log, url, opener=partial(PostgresLog, url), **options)


def test_processes_make_the_same_tables(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    events = record(recorder, 60)
    rebuild(log, url)
    before = content(control, "projection_live")
    shown: list[Progress] = []
    read_elsewhere: list[int] = []

    def show(progress: Progress) -> None:
        shown.append(progress)
        if multiprocessing.active_children():
            read_elsewhere.append(progress.events)

    done = read_by(log, url).run(show)
    assert done is not None
    assert (done.events, done.read, done.differing) == (events, events, {})
    assert content(control, "projection_live") == before
    assert read_elsewhere, "no process was seen at work"
    assert [p.events for p in shown] == sorted(p.events for p in shown)
    assert shown[-1].events == shown[-1].total == events


def test_what_killed_processes_left_is_read_all_the_same(
    log: PostgresLog, url: str, recorder: Recorder
) -> None:
    events = record(recorder, 60)
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        for child in multiprocessing.active_children():
            if child.pid is not None and child.pid not in killed:
                os.kill(child.pid, signal.SIGKILL)
                killed.append(child.pid)

    done = read_by(log, url, records_max=5).run(kill)
    assert killed and done is not None and done.events == events
    assert verify.verify(log, url).equal


def test_processes_end_when_the_rebuild_is_stopped(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    events = record(recorder, 60)
    stop = threading.Event()

    def interrupt(progress: Progress) -> None:
        stop.set()

    assert read_by(log, url, records_max=5).run(interrupt, stop) is None
    assert not multiprocessing.active_children()
    (half,) = builds.builds(control)
    assert half.state == "building"
    done = rebuild(log, url)
    assert done is not None and (done.build, done.events) == (half.build, events)


def test_the_shares_are_about_equal_and_leave_nothing_out() -> None:
    unread = {("a", 0): 60, ("a", 1): 40, ("b", 0): 20, ("b", 1): 0, ("c", 0): 5}
    assert bulk.shares(unread, 2) == [[("a", 0), ("c", 0)], [("a", 1), ("b", 0)]]
    assert bulk.shares(unread, 9) == [[("a", 0)], [("a", 1)], [("b", 0)], [("c", 0)]]
    assert bulk.shares({("a", 0): 0}, 2) == []


def test_processes_read_what_no_domain_owns(
    log: PostgresLog,
    url: str,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A log of real length, with a refusal, a term and a mark in it."""
    monkeypatch.setattr(bulk, "EVENTS_MIN", 20_000)
    for partition in range(3):
        recorder.begin_term(partition)
    events = record(recorder, 2100)
    refused = CommandRefused(
        at=START, command_id="c", command="compute.X", status=409, code="conflict", detail="No."
    )
    recorder.append([refused])
    recorder.control(Marked(at=START))
    assert events > 20_000
    seen: list[bool] = []

    def show(progress: Progress) -> None:
        seen.append(bool(multiprocessing.active_children()) and progress.events > 10_000)

    done = read_by(log, url).run(show)
    assert done is not None and (done.events, done.set_aside, done.waiting) == (events + 1, 0, [])
    assert any(seen), "processes have read most of it"
    said = capfd.readouterr()
    assert "Traceback" not in said.err + said.out
    assert "rebuild_process_ends" not in said.err + said.out
