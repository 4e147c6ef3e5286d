"""Each decision against a small model of what Nova allows, in the state that the log had then."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from tests.chaos.history.entries import Fact, History, Seen
from tests.chaos.history.violation import Violation
from tests.chaos.history.writes import OPERATION_OF, REFUSED, refused, told

HARD_OVER = (None, "rebooting", "reboot_started", "rebooting_hard")
EXPECTED = {
    "boot": (403,),
    "list": (400,),
    **dict.fromkeys(("stop", "start", "reboot", "metadata"), (404, 409)),
    **dict.fromkeys(("delete", "show"), (404,)),
}
"""Refusals that a client of a healthy site can get: the quota is small on purpose, the server at
which a list goes on may be gone."""


def allowed(operation: str, hard: bool, server: Seen) -> bool:
    """Whether this operation may begin in this state."""
    vm_state, task = server.vm_state, server.task_state
    if operation == "stop":
        return vm_state in ("active", "error") and task is None
    if operation == "start":
        return vm_state == "stopped" and task is None
    if operation == "reboot":
        if hard:
            return vm_state in ("active", "stopped", "error") and task in HARD_OVER
        return vm_state == "active" and task is None
    if operation == "metadata":
        return vm_state in ("active", "stopped")
    return operation in ("boot", "delete")


def misjudged(history: History) -> Iterator[Violation]:
    """What was begun was allowed, what was refused was not."""
    by_id = {request.request_id: request for request in history.requests if request.request_id}
    for server_id, facts in history.servers.items():
        states = [fact for fact in facts if fact.type.startswith("compute.")]
        positions = [fact.position for fact in states]
        for fact in facts:
            request = by_id.get(fact.request_id)
            operation = OPERATION_OF.get(fact.type, "")
            if fact.type == REFUSED and request is not None and fact.status == 409:
                operation = request.operation
            if operation in ("", "boot") or fact.unasked:
                continue
            at = bisect_left(positions, fact.position)
            state = states[at - 1].state if at else None
            hard = request.hard if fact.type == REFUSED and request is not None else fact.hard
            may = state is not None and allowed(operation, hard, state)
            if may == (fact.type == REFUSED):
                yield Violation("misjudged", f"{_said(fact)} of {server_id}, which was {state}")


def answers(history: History) -> Iterator[Violation]:
    """Clients get no answer that they could not expect, and get it in time."""
    for request in history.requests:
        status = request.status
        if status not in (None, 503) and (
            status >= 500 or (refused(request) and status not in EXPECTED[request.operation])
        ):
            yield Violation("answer", told(request))
        elif request.error == "hung":
            yield Violation("answer", f"{told(request)}: nothing came for half a minute")


def _said(fact: Fact) -> str:
    return f"{fact.type} at {fact.journal}:{fact.position} ({fact.request_id})"
