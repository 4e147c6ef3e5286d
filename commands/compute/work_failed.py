"""A host could not do what it was told, and has no report of its own for why.

It did not understand the work, or failed in a way that nobody foresaw. The operation ends as if
its deadline had passed; only a deletion is never taken for done.
"""

from __future__ import annotations

from commands.compute.guest import GuestReport
from commands.compute.overdue import way_out
from commands.compute.reports import ignored, stale
from commands.decision import Decision, accept, decides
from events.compute.server import Server
from events.compute.server import facts as f


class ReportWorkFailed(GuestReport, frozen=True, kw_only=True):
    """The work was not done."""

    reason: f.Reason


@decides(ReportWorkFailed, "server", key="server_id")
def work_failed(server: Server | None, report: ReportWorkFailed, at: int) -> Decision:
    """End the operation with the host's reason."""
    refused = stale(server, report, at)
    if refused is not None or server is None:
        return refused or ignored(report, at, "the server is gone")
    if server.task_state is None:
        return ignored(report, at, "nothing is in flight")
    if server.task_state == "deleting":
        return accept(
            f.DeletionFailed(
                at=at, server_id=report.server_id, operation=report.operation, reason=report.reason
            )
        )
    return accept(*way_out(server, server.task_state, at, report.reason))
