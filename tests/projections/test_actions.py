"""Instance actions and their steps, told as Nova tells them."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import pytest

from events.compute.server import facts as f
from events.log.postgres import PostgresLog
from events.message import MESSAGES, Event
from projections import aside
from projections.actions import RULES
from projections.connection import Connection
from projections.model import read_model
from tests.projections.recorder import (
    LATER,
    START,
    Recorder,
    boot,
    created,
    deleted,
    deletion,
    power,
)
from tests.projections.tables import catch_up, follower, new_build, rows

SCHEDULE = "conductor_schedule_and_build_instances"
BUILD = "compute__do_build_and_run_instance"


@pytest.fixture(params=[1, 1000])
def told(request: pytest.FixtureRequest, log: PostgresLog, url: str, control: Connection):  # type: ignore[no-untyped-def]
    """``told(story)``: the actions and steps that a story of (event, request id) comes to."""
    recorder = Recorder(log)

    def tell(story: list[tuple[Event, str]]) -> tuple[list[Any], list[Any]]:
        recorder.write([recorder.outgoing(event, 0, request_id) for event, request_id in story])
        one = follower(log, url, new_build(control, log), records_max=request.param)
        catch_up(one)
        one.close()
        actions = rows(
            control,
            "SELECT action, request_id, message, start_time - %s, updated_at - %s"
            " FROM projection_1.instance_actions ORDER BY position",
            START,
            START,
        )
        steps = rows(
            control,
            "SELECT event, request_id, start_time - %s, finish_time - %s, result, host, details"
            " FROM projection_1.instance_action_events ORDER BY position",
            START,
            START,
        )
        return actions, steps

    return tell


def asked(events: list[Event], request_id: str) -> list[tuple[Event, str]]:
    return [(event, request_id) for event in events]


def test_a_boot_has_two_steps(told) -> None:  # type: ignore[no-untyped-def]
    actions, steps = told(asked(boot("one"), "req-1"))
    assert actions == [("create", "req-1", None, 0, 40)]
    assert steps == [
        (SCHEDULE, "req-1", 0, 10, "Success", None, None),
        (BUILD, "req-1", 10, 40, "Success", "host-1", None),
    ]


def test_reports_without_a_request_end_the_step_all_the_same(told) -> None:  # type: ignore[no-untyped-def]
    story = asked(boot("one"), "req-1")
    stop, stopped, start, started = power("one", START + 100)
    actions, steps = told(
        [*story, (stop, "req-2"), (stopped, ""), (start, "req-3"), (started, "x")]
    )
    assert actions[1:] == [("stop", "req-2", None, 100, 110), ("start", "req-3", None, 120, 130)]
    assert steps[2:] == [
        ("compute_stop_instance", "req-2", 100, 110, "Success", "host-1", None),
        ("compute_start_instance", "req-3", 120, 130, "Success", "host-1", None),
    ]


def test_no_valid_host_is_an_error_with_its_reason(told) -> None:  # type: ignore[no-untyped-def]
    reason = "No valid host was found. " + "x" * 300
    failed = f.PlacementFailed(at=START + 7, server_id="one", generation=1, reason=reason)
    actions, steps = told(asked([created("one"), failed], "req-1"))
    assert actions == [("create", "req-1", "Error", 0, 7)]
    assert steps == [(SCHEDULE, "req-1", 0, 7, "Error", None, reason[:255])]


def test_a_rescheduled_boot_has_a_step_for_each_attempt(told) -> None:  # type: ignore[no-untyped-def]
    first = boot("one")[:2]
    again = [
        f.RescheduleRequested(
            at=START + 50, server_id="one", generation=2, failed_hosts=["host-1"], deadline=LATER
        ),
        f.HostSelected(
            at=START + 60, server_id="one", generation=2, host="host-2", node="n", deadline=LATER
        ),
        f.DomainStarted(at=START + 70, server_id="one", generation=2, power_state=1),
    ]
    actions, steps = told(asked(first, "req-1") + asked(again, ""))  # type: ignore[arg-type]
    assert actions == [("create", "req-1", "Error", 0, 70)]
    assert [(step[0], step[1], *step[3:6]) for step in steps] == [
        (SCHEDULE, "req-1", 10, "Success", None),
        (BUILD, "req-1", 50, "Error", "host-1"),
        (SCHEDULE, "req-1", 60, "Success", None),
        (BUILD, "req-1", 70, "Success", "host-2"),
    ]


def test_a_deletion_in_the_middle_of_a_boot_leaves_nothing_open(told) -> None:  # type: ignore[no-untyped-def]
    story = asked(boot("one")[:3], "req-1") + asked(deletion("one", START + 100), "req-2")
    actions, steps = told(story)
    assert actions == [("create", "req-1", "Error", 0, 100), ("delete", "req-2", None, 100, 110)]
    assert steps[1:] == [
        (BUILD, "req-1", 10, 100, "Error", "host-1", "The server was deleted meanwhile."),
        ("compute_terminate_instance", "req-2", 100, 110, "Success", "host-1", None),
    ]


def test_a_server_on_no_host_is_deleted_at_once(told) -> None:  # type: ignore[no-untyped-def]
    actions, steps = told([(created("one"), "req-1"), (deleted("one", START + 9), "req-2")])
    assert actions == [("create", "req-1", "Error", 0, 9), ("delete", "req-2", None, 9, 9)]
    assert [(step[0], step[3], step[4]) for step in steps] == [
        (SCHEDULE, 9, "Error"),
        ("compute_terminate_instance", 9, "Success"),
    ]


def test_locks_and_what_nobody_asked_for(told) -> None:  # type: ignore[no-untyped-def]
    lock = f.ServerLocked(at=START + 50, server_id="one", locked_by="owner")
    halted = f.GuestHalted(at=START + 60, server_id="one", power_state=4)
    actions, steps = told([*asked(boot("one"), "req-1"), (lock, "req-2"), (halted, "")])
    internal = f"req-{uuid.uuid5(uuid.NAMESPACE_URL, 'compute.events/0/7')}"
    assert [action[:2] for action in actions[1:]] == [("lock", "req-2"), ("stop", internal)]
    assert [(step[0], *step[2:5]) for step in steps[2:]] == [
        ("api_lock", 50, 50, "Success"),
        ("compute_stop_instance", 60, 60, "Success"),
    ]


def test_who_and_where(log: PostgresLog, url: str, control: Connection) -> None:
    recorder = Recorder(log)
    recorder.append(boot("one"), 0, "req-1")
    one = follower(log, url, new_build(control, log))
    catch_up(one)
    one.close()
    query = "SELECT user_id, project_id, finish_time FROM projection_1.instance_actions"
    assert rows(control, query) == [("user", "project", None)]
    query = "SELECT host_id, traceback FROM projection_1.instance_action_events WHERE host <> ''"
    assert rows(control, query) == [(hashlib.sha224(b"projecthost-1").hexdigest(), None)]


def test_every_rule_is_about_a_fact_of_servers() -> None:
    assert read_model()
    for name in RULES:
        assert MESSAGES[name].folds[0] == ("server", "server_id")  # type: ignore[attr-defined]


@pytest.mark.parametrize("records_max", [1, 1000])
def test_an_id_that_is_used_again_begins_new_actions(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder, records_max: int
) -> None:
    recorder.append(boot("one"), 0, "req-1")
    recorder.append(deletion("one", START + 100), 0, "req-2")
    recorder.forget("one")
    recorder.append(boot("one", START + 1000), 0, "req-3")
    recorder.append(power("one", START + 2000)[:1], 0, "")
    one = follower(log, url, new_build(control, log), records_max=records_max)
    catch_up(one)
    one.close()
    assert aside.notes(control, "projection_1") == []
    actions = rows(
        control,
        "SELECT action, request_id FROM projection_1.instance_actions ORDER BY position",
    )
    assert actions[:3] == [("create", "req-1"), ("delete", "req-2"), ("create", "req-3")]
    steps = rows(
        control,
        "SELECT event, request_id FROM projection_1.instance_action_events ORDER BY position",
    )
    assert [request for _, request in steps[:5]] == ["req-1", "req-1", "req-2", "req-3", "req-3"]
    assert steps[5] == ("compute_stop_instance", actions[3][1])
    assert rows(control, "SELECT vm_state, sequence FROM projection_1.servers") == [("active", 6)]
