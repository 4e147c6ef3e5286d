"""Instance actions and their events, by Nova's names, from the facts of servers.

``RULES`` says for each fact which action it begins and which step it begins or ends (names:
Nova's ``os-instance-actions``). Everything else here is how that becomes rows. Where Nova
leaves a step open for ever (a server deleted in the middle of its boot), the step ends with
Error. Times are microseconds since 1970.

A step ends by its name, whichever request began it: a server has one operation in flight, and
a report that comes after a restart, or a deadline, may carry no request. So the rows do not
depend on how events fall into batches.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from events.log.records import EventStamp
from events.message import Event
from projections.table import METADATA

SUCCESS, ERROR = "Success", "Error"
DETAILS_CHARS_MAX = 255

INSTANCE_ACTIONS = Table(
    "instance_actions",
    METADATA,
    Column("server_id", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("action", Text, nullable=False),
    Column("user_id", Text),
    Column("project_id", Text),
    Column("start_time", BigInteger, nullable=False),
    Column("finish_time", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Column("message", Text),
    Column("position", BigInteger, nullable=False),
    Index("instance_actions_in_order", "server_id", "position"),
)
"""``position``: that of the event which began the action, in its partition; later actions have
higher ones. A sequence would not do: a server's id may be used again, and its sequence then begins
with 1 again."""

INSTANCE_ACTION_EVENTS = Table(
    "instance_action_events",
    METADATA,
    Column("server_id", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("start_time", BigInteger, nullable=False),
    Column("finish_time", BigInteger),
    Column("result", Text),
    Column("traceback", Text),
    Column("host", Text),
    Column("host_id", Text),
    Column("details", Text),
)
"""``partition`` and ``position`` are those of the event that began the step: no two steps share
them, whatever becomes of the server's id. The id comes first in the key because steps are ended by
it."""

SCHEDULE = "conductor_schedule_and_build_instances"
BUILD = "compute__do_build_and_run_instance"
STOP = "compute_stop_instance"
START = "compute_start_instance"
REBOOT = "compute_reboot_instance"
TERMINATE = "compute_terminate_instance"
STEPS = (SCHEDULE, BUILD, STOP, START, REBOOT)
"""Steps that end when the server is deleted meanwhile."""

DELETED_MEANWHILE = "The server was deleted meanwhile."


class Rule(msgspec.Struct, frozen=True):
    """What a fact means. ``action``: begins that action. ``begins``: a step of it (or of the
    action of the same request). ``ends``: open steps of these names, with ``result``."""

    action: str | None = None
    begins: str | None = None
    ends: tuple[str, ...] = ()
    result: str | None = None


RULES: dict[str, Rule] = {
    "compute.ServerCreated": Rule("create", begins=SCHEDULE),
    "compute.HostSelected": Rule(begins=BUILD, ends=(SCHEDULE,), result=SUCCESS),
    "compute.PlacementFailed": Rule(ends=(SCHEDULE,), result=ERROR),
    "compute.DomainStarted": Rule(ends=(BUILD,), result=SUCCESS),
    "compute.BootFailed": Rule(ends=(SCHEDULE, BUILD), result=ERROR),
    "compute.RescheduleRequested": Rule(begins=SCHEDULE, ends=(SCHEDULE, BUILD), result=ERROR),
    "compute.StopRequested": Rule("stop", begins=STOP),
    "compute.ServerStopped": Rule(ends=(STOP,), result=SUCCESS),
    "compute.StopFailed": Rule(ends=(STOP,), result=ERROR),
    "compute.GuestHalted": Rule("stop", begins=STOP, result=SUCCESS),
    "compute.StartRequested": Rule("start", begins=START),
    "compute.ServerStarted": Rule(ends=(START,), result=SUCCESS),
    "compute.StartFailed": Rule(ends=(START,), result=ERROR),
    "compute.RebootRequested": Rule("reboot", begins=REBOOT),
    "compute.ServerRebooted": Rule(ends=(REBOOT,), result=SUCCESS),
    "compute.RebootFailed": Rule(ends=(REBOOT,), result=ERROR),
    "compute.OperationTimedOut": Rule(ends=(SCHEDULE, BUILD, STOP, START, REBOOT), result=ERROR),
    "compute.DeletionRequested": Rule("delete", begins=TERMINATE),
    "compute.DeletionFailed": Rule(ends=(TERMINATE,), result=ERROR),
    "compute.ServerDeleted": Rule(ends=(TERMINATE,), result=SUCCESS),
    "compute.ServerLocked": Rule("lock", begins="api_lock", result=SUCCESS),
    "compute.ServerUnlocked": Rule("unlock", begins="api_unlock", result=SUCCESS),
}
"""By the fact's message name. A rule that begins a step, ends none and has a result: the step
is over at once."""

DELETED = "compute.ServerDeleted"
DELETED_UNASKED = Rule("delete", begins=TERMINATE, result=SUCCESS)
"""A server on no host is deleted at once: no request for its deletion came before."""

ACTIONS_VERSION = 2
"""Raise whenever the rules or the rows change: the projections are then rebuilt."""


class Step(msgspec.Struct):
    """A row of ``instance_action_events``."""

    server_id: str
    partition: int
    position: int
    request_id: str
    event: str
    start_time: int
    host: str | None
    host_id: str | None
    finish_time: int | None = None
    result: str | None = None
    details: str | None = None


class Ending(msgspec.Struct, frozen=True):
    """The end of a step that an earlier batch began."""

    server_id: str
    event: str
    finish_time: int
    result: str
    details: str | None


class ActionLog:
    """The changes that one batch of events makes to the two tables."""

    def __init__(self) -> None:
        self.actions: dict[tuple[str, str], dict[str, Any]] = {}
        self.steps: dict[str, list[Step]] = {}
        self.endings: dict[tuple[str, str], Ending] = {}
        self._new: set[str] = set()

    def all_steps(self) -> Iterator[Step]:
        """The steps that this batch began."""
        for steps in self.steps.values():
            yield from steps

    def of(self, server_id: str) -> ActionLog:
        """Return the changes that concern one server."""
        part = ActionLog()
        part.actions = {key: row for key, row in self.actions.items() if key[0] == server_id}
        part.steps = {server_id: self.steps[server_id]} if server_id in self.steps else {}
        part.endings = {key: one for key, one in self.endings.items() if key[0] == server_id}
        return part

    def record(
        self,
        event: Event,
        before: Any,
        after: Any,
        headers: Mapping[str, str],
        partition: int,
        stamp: EventStamp,
    ) -> None:
        """Take note of a server's fact. ``before`` and ``after``: the server's states around it;
        ``headers``, ``partition`` and ``stamp``: its record's."""
        rule = RULES.get(event.type_name)
        if rule is None or after is None:
            return
        if stamp.sequence == 1:
            self._new.add(event.subject[1])
        # A server that is not busy has no step open: nothing to look for in the table.
        busy = before is not None and before.task_state is not None
        if busy and rule.ends and rule.result:
            self._end(event, rule.ends, rule.result, getattr(event, "reason", None))
        if event.type_name == DELETED:
            if busy and before.task_state == "deleting":
                return
            rule = DELETED_UNASKED
        if busy and rule.action == "delete":
            self._end(event, STEPS, ERROR, DELETED_MEANWHILE)
        request_id = headers.get("ce_requestid", "")
        if rule.action is not None:
            request_id = request_id or _request_of_nobody(headers["ce_id"])
            self._begin_action(rule.action, event, request_id, headers, stamp.position)
        if rule.begins is not None:
            place = (partition, stamp.position)
            step = self._begin_step(rule.begins, event, after, request_id, place)
            if not rule.ends and rule.result:
                step.finish_time, step.result = event.at, rule.result

    def _begin_action(
        self, action: str, event: Event, request_id: str, headers: Mapping[str, str], position: int
    ) -> None:
        server_id: str = event.subject[1]
        self.actions.setdefault(
            (server_id, request_id),
            {
                "server_id": server_id,
                "request_id": request_id,
                "action": action,
                "user_id": headers.get("ce_actoruser"),
                "project_id": headers.get("ce_actorproject"),
                "start_time": event.at,
                "updated_at": event.at,
                "position": position,
            },
        )

    def _begin_step(
        self, name: str, event: Event, server: Any, request_id: str, place: tuple[int, int]
    ) -> Step:
        server_id = event.subject[1]
        host = server.host if name.startswith("compute_") else None
        shown = _host_id(server.project_id, host) if host else None
        step = Step(server_id, *place, request_id, name, event.at, host, shown)
        self.steps.setdefault(server_id, []).append(step)
        return step

    def _end(self, event: Event, names: tuple[str, ...], result: str, reason: str | None) -> None:
        server_id = event.subject[1]
        details = reason[:DETAILS_CHARS_MAX] if reason and result == ERROR else None
        for step in self.steps.get(server_id, ()):
            if step.event in names and step.finish_time is None:
                step.finish_time, step.result, step.details = event.at, result, details
        if server_id in self._new:
            return  # no earlier batch began a step of it
        for name in names:
            self.endings.setdefault(
                (server_id, name), Ending(server_id, name, event.at, result, details)
            )


def _request_of_nobody(event_id: str) -> str:
    """A request id for what nobody requested: the same whenever the event is projected."""
    return f"req-{uuid.uuid5(uuid.NAMESPACE_URL, event_id)}"


def _host_id(project_id: str, host: str) -> str:
    """What a tenant sees of a host: Nova's ``hostId``."""
    return hashlib.sha224(f"{project_id}{host}".encode()).hexdigest()
