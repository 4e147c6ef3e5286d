"""When a host's report counts: from the server's host, of the current attempt and operation.

``generation`` and ``operation`` are fencing tokens: after an evacuation, a timeout or a delete
the old host's reports no longer count, which is recorded with its reason.
"""

from __future__ import annotations

from commands.compute.guest import GuestReport
from commands.decision import Decision, accept
from events.compute.server import Server
from events.compute.server.facts import ReportIgnored


def ignored(report: GuestReport, at: int, reason: str) -> Decision:
    """The report is recorded as not counting."""
    return accept(
        ReportIgnored(
            at=at, server_id=report.server_id, report=type(report).type_name, reason=reason
        )
    )


def stale(server: Server | None, report: GuestReport, at: int, *tasks: str) -> Decision | None:
    """The recorded refusal when ``report`` does not count, else None. ``tasks``: the task states
    in which it does (none named: any). A host is believed only about guests placed on it."""
    if server is None:
        return ignored(report, at, "the server is gone")
    if report.host != server.host:
        return ignored(report, at, f"the server's host is {server.host}, not {report.host}")
    if report.generation != server.generation:
        return ignored(report, at, f"the placement attempt is {server.generation} now")
    if report.operation != server.operation:
        return ignored(report, at, f"the operation is {server.operation} now")
    if tasks and server.task_state not in tasks:
        return ignored(report, at, f"the task_state is {server.task_state}")
    return None
