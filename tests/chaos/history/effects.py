"""Effects against facts: each operation happened once, on the host too; nothing is left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.chaos.history.entries import OPERATOR, Fact, History
from tests.chaos.history.violation import Violation

CLAIMED, RELEASED = "fleet.AllocationClaimed", "fleet.AllocationReleased"
STARTED = "compute.DomainStarted"
ONCE_A_GENERATION = (CLAIMED, RELEASED, "compute.HostSelected", STARTED)
ENDS = {
    "compute.ServerStopped": "stop",
    "compute.StopFailed": "stop",
    "compute.ServerStarted": "start",
    "compute.StartFailed": "start",
    "compute.ServerRebooted": "reboot",
    "compute.RebootFailed": "reboot",
    "compute.OperationTimedOut": "",
}
BEGINS = {
    "compute.StopRequested": "stop",
    "compute.StartRequested": "start",
    "compute.RebootRequested": "reboot",
    "compute.RebootTurnedHard": "reboot",
}
TIMED_OUT = "compute.OperationTimedOut"
DELETED = "compute.DeletionRequested"
MAY_RUN = ("compute.StartRequested", "compute.RebootRequested")
RAN = (STARTED, "compute.ServerStarted", "compute.ServerRebooted")
"""Facts each of which says that the guest was started once."""
MAY_HAVE_RUN = (
    *("compute.StartFailed", "compute.RebootFailed", "compute.OperationTimedOut"),
    "compute.RebootTurnedHard",
)
"""Facts before each of which it may have been."""


def once(history: History) -> Iterator[Violation]:
    """One attempt of a boot claims, selects and starts once; one operation begins and ends once."""
    for server_id, facts in history.servers.items():
        counts = Counter((f.type, f.generation) for f in facts if f.type in ONCE_A_GENERATION)
        for (type, generation), count in counts.items():
            if count > 1:
                yield Violation("done twice", f"{server_id}: {count} {type} in try {generation}")
        for table, verb in ((BEGINS, "began"), (ENDS, "ended")):
            numbers = Counter(f.operation for f in facts if f.type in table)
            for number, count in numbers.items():
                if count > 1:
                    what = f"operation {number} of {server_id} {verb} {count} times"
                    yield Violation("done twice", what)
        opened = {f.operation for f in facts if f.type in BEGINS}
        for fact in facts:
            if ENDS.get(fact.type) and fact.operation not in opened:
                yield Violation("done twice", f"{server_id}: {fact.type} of nothing that began")


def boots(history: History) -> Iterator[Violation]:
    """A guest was started as often as its facts say."""
    for guest in history.guests:
        facts = history.servers.get(guest.server_id)
        if facts is None:
            continue
        least = sum(fact.type in RAN for fact in facts)
        ended = {fact.operation for fact in facts if fact.type in ENDS}
        overtaken = {fact.operation for fact in facts if fact.type in MAY_RUN} - ended
        most = least + sum(fact.type in MAY_HAVE_RUN for fact in facts) + len(overtaken)
        most += _may_be_gone(history, guest.server_id)
        if not least <= guest.boots <= most:
            counted = f"{guest.boots} times, by its facts {least} to {most} times"
            yield Violation("host", f"{guest.server_id} on {guest.host} was started {counted}")


def erased(history: History) -> Iterator[Violation]:
    """A log that is put back costs no guest: each that was there is there, was deleted by a client,
    or removed by the operator as one that the log does not know. None was made again: its starts
    go on to be counted. (The operator deletes servers whose guest is gone, too.)"""
    operators = {request.request_id for request in history.requests if request.client == OPERATOR}
    there = {(guest.host, guest.server_id): guest.boots for guest in history.guests}
    for held in history.held:
        guest = held.guest
        place = (guest.host, guest.server_id)
        facts = history.of_type(guest.server_id, DELETED)
        deleted = any(fact.request_id not in operators for fact in facts)
        deleted |= any(  # put back once more, the log does not say so any longer
            request.operation == "delete" and request.server_id == guest.server_id
            for request in history.requests
            if request.began > held.at and request.client != OPERATOR
            if history.may_be_gone(request)
        )
        boots = there.get(place, 0 if deleted or place in history.removed else -1)
        if boots < 0:
            yield Violation("erased", f"{guest.server_id} was on {guest.host} and is gone")
        elif place in there and boots < guest.boots:
            what = f"{guest.server_id} on {guest.host} was started {guest.boots} times, now {boots}"
            yield Violation("erased", what)


def unsaid(history: History) -> Iterator[Violation]:
    """Hosts say again what they did: nothing that was under way in the copy ends by a timeout."""
    for server_id, facts in history.servers.items():
        began = {fact.operation: fact.at for fact in facts if fact.type in BEGINS}
        for fact in facts:
            if fact.type == TIMED_OUT and any(
                began.get(fact.operation, put.ended) < put.copied and fact.at > put.ended
                for put in history.put_back
            ):
                yield Violation("unsaid", f"operation {fact.operation} of {server_id} timed out")


def left(history: History) -> Iterator[Violation]:
    """At rest nothing is in flight, and a server holds room exactly where it is."""
    for server_id, facts in history.servers.items():
        own = [fact for fact in facts if fact.type.startswith("compute.")]
        last = own[-1].state
        if last is not None and (last.task_state is not None or last.vm_state == "building"):
            yield Violation("stuck", f"{server_id} is {last.vm_state} {last.task_state}")
        held = _held(facts)
        wanted = {_host(own): 1} if last is not None and _host(own) else {}
        if held != wanted:
            yield Violation("room", f"{server_id} holds {held} and should hold {wanted}")
        runs = last is not None and last.vm_state in ("active", "stopped")
        if runs and not any(fact.type == STARTED for fact in own):
            yield Violation("never started", f"{server_id} is {last}")
    for sentence in history.sentences:
        yield Violation("at rest", sentence)


def _held(facts: list[Fact]) -> dict[str, int]:
    held: Counter[str] = Counter()
    for fact in facts:
        held[fact.host] += (fact.type == CLAIMED) - (fact.type == RELEASED)
    return {host: count for host, count in held.items() if count}


def _may_be_gone(history: History, server_id: str) -> int:
    """How often a guest may have been started by requests that no log knows any more."""
    starts = {"boot": 1, "start": 1, "reboot": 2}  # a soft reboot may turn into a hard one
    return sum(
        starts.get(request.operation, 0)
        for request in history.requests
        if request.server_id == server_id and history.may_be_gone(request)
    )


def _host(own: list[Fact]) -> str:
    """The host on which a server was built, "" where none was."""
    host = ""
    for fact in own:
        if fact.type == "compute.HostSelected":
            host = fact.host
        elif fact.type in ("compute.BootFailed", "compute.RescheduleRequested"):
            host = ""
    return host
