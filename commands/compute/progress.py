"""Progress of a long operation on a host: each report extends the operation's deadline.

So an operation may take as long as it needs while it goes on, and ends soon after it stands still.
"""

from __future__ import annotations

from typing import Annotated

from commands.compute import limits
from commands.compute.guest import GuestReport
from commands.compute.reports import stale
from commands.decision import Decision, accept, decides
from events.compute.server import Server
from events.compute.server import facts as f
from events.message import Large


class ReportProgress(GuestReport, frozen=True, kw_only=True):
    """The host goes on with what it was told to do."""

    step: Annotated[str, "What it does, e.g. image."]
    bytes_done: Annotated[Large, "Bytes moved so far."] = 0
    bytes_total: Annotated[Large, "Bytes to move in all; 0: unknown."] = 0


def leased(server: Server | None, at: int) -> int:
    """The deadline of an operation of which the host just said that it goes on."""
    known = server.deadline if server is not None else None
    return max(known or 0, at + limits.LEASE)


@decides(ReportProgress, "server", key="server_id")
def progressed(server: Server | None, report: ReportProgress, at: int) -> Decision:
    """Give the operation more time; a report that came late is of no interest."""
    if server is None or server.task_state is None or stale(server, report, at):
        return accept()
    total = report.bytes_total
    percent = min(100, 100 * report.bytes_done // total) if total > 0 else None
    return accept(
        f.OperationProgressed(
            at=at,
            server_id=report.server_id,
            operation=report.operation,
            step=report.step[:100],
            percent=percent,
            bytes_done=report.bytes_done,
            deadline=leased(server, at),
        )
    )
