"""How work ends: each piece in exactly one way, and reported."""

from __future__ import annotations

from typing import Any

import pytest

from commands.compute.progress import ReportProgress
from commands.work import Version
from events.message import Command
from handlers.performer.piece import Task, WorkError
from tests.handlers.performer.rig import Rig, Transient, about, done, raising, stop

# ------------------------------------------------------------------- outcomes


def test_a_report_s_id_follows_from_the_work_s() -> None:
    rig = Rig()
    id = rig.tell(stop())
    rig.steps()
    assert rig.reports() == [(f"{id}:compute.ReportGuestStopped", done(stop()))]
    assert rig.outcomes == ["done"]


@pytest.mark.parametrize(
    "error",
    [WorkError("No disk."), Transient("Away."), KeyError("defect"), WorkError("\x00\udcff" * 5000)],
)
def test_each_failure_ends_in_one_report(error: Exception) -> None:
    rig = Rig()
    rig.perform = raising(error)
    rig.tell(stop())
    rig.steps()
    assert rig.reported() == ["ReportWorkFailed"]
    assert rig.outcomes == ["failed"]
    rig.tell(stop(3))
    rig.perform = lambda work, task: done(work)
    rig.steps()
    assert rig.outcomes == ["failed", "done"], "the server's lane goes on"


def test_a_transient_failure_is_tried_again() -> None:
    rig = Rig()
    tries = []

    def perform(work: Any, task: Task) -> Command:
        tries.append(work)
        if len(tries) < 3:
            raise Transient("Away.")
        return done(work)

    rig.perform = perform
    rig.tell(stop())
    rig.steps()
    assert (len(tries), rig.outcomes) == (3, ["done"])


def test_a_failure_that_cannot_be_described_is_reported_all_the_same() -> None:
    """An exception in the failure callback wedged the server on its host."""
    rig = Rig()
    rig.perform = raising(WorkError("No disk."))

    def fail(work: Any, task: Task, reason: str) -> Command:
        raise RuntimeError("not a driver's error")

    rig.fail = fail
    rig.tell(stop())
    rig.steps()
    ((_, report),) = rig.reports()
    assert (report.reason, report.operation) == ("No disk.", 2)
    assert rig.performer.at_rest()


def test_unknown_work_is_reported_with_what_it_wasabout() -> None:
    rig = Rig()
    id = rig.tell(stop(), b"\x00\x7f\xff\xff\xffwork of a newer version")
    rig.steps()
    ((report_id, report),) = rig.reports()
    assert report_id == f"{id}:compute.ReportWorkFailed"
    assert (report.server_id, report.host) == ("s", "h")
    assert (report.generation, report.operation) == (1, 2)
    assert "cannot read" in report.reason
    assert report.project_id == "p"


def test_work_of_no_kind_that_is_known_is_reported() -> None:
    rig = Rig()
    from tests.handlers.compute.hosts import reboot

    rig.tell(reboot(5))
    rig.steps()
    ((_, report),) = rig.reports()
    assert report.operation == 5
    assert "does not know compute.RebootGuest" in report.reason


def test_the_effect_that_took_place_before_a_failed_try_is_not_repeated() -> None:
    rig = Rig(once=True)
    reboots = []

    def perform(work: Any, task: Task) -> Command:
        if not task.happened():
            reboots.append(work)
            rig.marks.starts += 1
            raise Transient("The hypervisor's answer was lost.")
        return done(work)

    rig.perform = perform
    rig.tell(stop())
    rig.steps()
    assert (len(reboots), rig.outcomes) == (1, ["done"])


# --------------------------------------------------------------------- wishes


def test_of_wishes_the_newest_is_made_true() -> None:
    rig = Rig()
    made: list[tuple[Version, str]] = []

    def perform(work: Any, task: Task) -> None:
        made.append((work.version, work.rules))

    rig.perform = perform
    rig.wish(1, "a")
    rig.wish(2, "b")
    rig.steps()
    assert made == [((2, 0, 0), "b")]
    rig.wish(1, "late")
    rig.wish(3, "c")
    rig.steps()
    assert [rules for _, rules in made] == ["b", "c"]
    assert rig.outcomes == ["superseded", "done", "superseded", "done"]


def test_a_wish_is_made_true_again_by_the_next_process() -> None:
    rig = Rig()
    made = []
    rig.perform = lambda work, task: made.append(work.rules)
    rig.wish(1, "a")
    rig.steps()
    rig.wish(2, "b")
    rig.tell(stop())
    rig.perform = lambda work, task: made.append(getattr(work, "rules", "stop"))
    rig.steps()
    rig.performer.close()
    rig.start()
    rig.steps()
    assert made == ["a", "b", "stop", "b"], "the order was done, the wish holds"


# ------------------------------------------------------------------- progress


def test_progress_reports_have_numbers_that_rise_over_restarts() -> None:
    rig = Rig()

    def perform(work: Any, task: Task) -> Command:
        for _ in range(3):
            task.progress(lambda: ReportProgress(step="image", **about(work)))
            task.progress(lambda: ReportProgress(step="image", **about(work)))
            rig.now += 20_000_000
        return done(work)

    rig.perform = perform
    id = rig.tell(stop())
    rig.steps()
    rig.marks.marks.clear()
    rig.keeper.content = None
    rig.start()
    rig.steps()
    ids = [i for i, report in rig.reports() if isinstance(report, ReportProgress)]
    assert len(ids) == 4, "one in 15 seconds, the first after as long"
    numbers = [int(i.removeprefix(f"{id}:").partition(":")[0]) for i in ids]
    assert numbers == sorted(set(numbers))
    assert all(i.endswith(":compute.ReportProgress") for i in ids)
