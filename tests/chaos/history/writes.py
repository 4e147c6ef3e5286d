"""Answers against facts: what was answered happened, what was refused did not, nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.chaos.history.entries import NAMES, Fact, History, Request
from tests.chaos.history.violation import Violation

OPENS = {
    "boot": "compute.ServerCreated",
    "stop": "compute.StopRequested",
    "start": "compute.StartRequested",
    "reboot": "compute.RebootRequested",
    "metadata": "compute.MetadataChanged",
    "delete": "compute.DeletionRequested",
}
"""The fact with which each operation that changes something begins."""
OPERATION_OF = {type: operation for operation, type in OPENS.items()}
REFUSED = "outcome.CommandRefused"
ENDS_OF_DELETE = ("compute.DeletionRequested", "compute.ServerDeleted")


def accepted(request: Request) -> bool:
    """Whether it was answered with success."""
    return request.status is not None and 200 <= request.status < 300


def refused(request: Request) -> bool:
    """Whether it was answered with a refusal."""
    return request.status is not None and 400 <= request.status < 500


def unknown(request: Request) -> bool:
    """Whether it may have happened and may not."""
    return request.status is None or request.status >= 500


def lost(history: History) -> Iterator[Violation]:
    """What was answered with success is in the log."""
    for request in _writes(history):
        gone = history.may_be_gone(request)
        if accepted(request) and not gone and not _explained(history, request):
            yield Violation("lost", f"{told(request)}: the log has no such fact")


def had_effect(history: History) -> Iterator[Violation]:
    """What was refused changed nothing."""
    for request in history.requests:
        # Put back, the log may hold what it was asked for, undecided: it is decided once more.
        if refused(request) and request.request_id and not history.may_be_gone(request):
            for fact in history.by_request.get(request.request_id, ()):
                if not fact.type.startswith("outcome."):
                    yield Violation("refused but done", f"{told(request)}: {fact.type}")


def twice(history: History) -> Iterator[Violation]:
    """No request opened its operation twice, whatever its client was told."""
    for id, facts in history.by_request.items():
        opened = Counter((f.type, f.server_id) for f in facts if f.type in OPERATION_OF)
        for (type, server_id), count in opened.items():
            if id and count > 1:
                yield Violation("twice", f"{id}: {count} {type} of {server_id}")
    for what, key in (("compute.ServerCreated", "name"), ("compute.MetadataChanged", "mark")):
        marked = Counter(getattr(fact, key) for fact in history.facts if fact.type == what)
        for value, count in marked.items():
            if value and count > 1 and (key == "mark" or value.startswith(NAMES)):
                yield Violation("twice", f"{count} {what} of {key} {value}")


def unasked(history: History) -> Iterator[Violation]:
    """Every fact that opens an operation was asked for by a request, no two by the same one.

    An answer names its request, and the fact does. A request without an answer explains one fact
    of its kind about its server that came after it began.
    """
    by_id = {request.request_id: request for request in history.requests if request.request_id}
    nameless: dict[tuple[str, str], list[Request]] = {}
    for request in _writes(history):
        if unknown(request) and not request.request_id:
            nameless.setdefault((request.operation, _about(request)), []).append(request)
    for server_id, facts in history.servers.items():
        for fact in facts:
            operation = OPERATION_OF.get(fact.type)
            if operation is None or fact.unasked:
                continue
            asked = by_id.get(fact.request_id)
            if asked is not None:
                if asked.operation != operation or not _same(asked, fact):
                    yield Violation("unasked", f"{fact.type} of {server_id} for {told(asked)}")
                continue
            about = fact.name or fact.mark if operation in ("boot", "metadata") else server_id
            candidates = nameless.get((operation, about))
            earlier = [request for request in candidates or () if request.began <= fact.at]
            if not earlier:
                kind = "twice" if candidates == [] else "unasked"
                where = f"{fact.journal}:{fact.position}"
                yield Violation(kind, f"{fact.type} of {server_id} at {where}")
            elif candidates is not None:
                candidates.remove(earlier[0])


def order(history: History) -> Iterator[Violation]:
    """A request that was answered before another one began comes before it in the log."""
    by_id = {request.request_id: request for request in history.requests if accepted(request)}
    for server_id, facts in history.servers.items():
        latest: Request | None = None
        for fact in facts:
            request = by_id.get(fact.request_id) if fact.type in OPERATION_OF else None
            if request is None:
                continue
            if latest is not None and request.ended < latest.began:
                yield Violation(
                    "order", f"{server_id}: {told(latest)} comes before {told(request)}"
                )
            if latest is None or request.began > latest.began:
                latest = request


def told(request: Request) -> str:
    """The request in a few words."""
    answer = request.status or request.error or "no answer"
    return (
        f"client {request.client}: {request.operation} {request.server_id or request.name}"
        f" {request.request_id} ({answer}, {request.began} to {request.ended})"
    )


def _writes(history: History) -> list[Request]:
    return [request for request in history.requests if request.operation in OPENS]


def _about(request: Request) -> str:
    return request.name or request.mark or request.server_id


def _same(request: Request, fact: Fact) -> bool:
    return (
        (not request.server_id or fact.server_id == request.server_id)
        and fact.hard == request.hard
        and (request.operation != "boot" or fact.name == request.name)
        and (request.operation != "metadata" or fact.mark == request.mark)
    )


def _explained(history: History, request: Request) -> bool:
    own = history.by_request.get(request.request_id, ())
    wanted = OPENS[request.operation]
    if any(fact.type == wanted and _same(request, fact) for fact in own):
        return True
    if request.operation == "boot":  # an earlier attempt with this Idempotency-Key did it
        made = history.of_type(request.server_id, wanted)
        return any(_same(request, fact) and fact.at <= request.ended for fact in made)
    if request.operation == "delete":  # it was being deleted already
        gone = history.of_type(request.server_id, *ENDS_OF_DELETE)
        return any(fact.at <= request.ended for fact in gone)
    return False
