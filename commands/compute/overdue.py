"""The way out of each operation whose deadline has passed. No task_state outlives it."""

from __future__ import annotations

from commands.compute.boot import BUILDING, build_failure
from commands.compute.delete import deleted
from commands.compute.reboot import HARD_TASKS, SOFT_TASKS, turned_hard
from commands.decision import Decision, accept, decides
from events.compute.server import Server
from events.compute.server import facts as f
from events.compute.server.overdue import EndOverdueOperation
from events.message import Event

SILENT = "The host did not answer in time."
UNPLACED = "The scheduler did not answer in time."


@decides(EndOverdueOperation, "server", key="server_id")
def end_overdue(server: Server | None, command: EndOverdueOperation, at: int) -> Decision:
    """The facts that end what is in flight; nothing when it ended meanwhile."""
    if server is None or server.deadline != command.deadline or server.task_state is None:
        return accept()
    reason = UNPLACED if server.task_state == "scheduling" else SILENT
    return accept(*way_out(server, server.task_state, at, reason))


def way_out(server: Server, task: str, at: int, reason: str) -> list[Event]:
    """The facts that end ``task``, which was not done for that reason."""
    id, operation = server.server_id, server.operation
    if task == "scheduling":
        return [f.PlacementFailed(at=at, server_id=id, generation=server.generation, reason=reason)]
    if task in BUILDING:
        # Not tried elsewhere: a silent host may still start the guest, and it must not run twice.
        return [build_failure(server, reason, at, leftovers=True)]
    if task == "powering-off":
        return [f.StopFailed(at=at, server_id=id, operation=operation, reason=reason)]
    if task == "powering-on":
        return [f.StartFailed(at=at, server_id=id, operation=operation, reason=reason)]
    if task in SOFT_TASKS:
        return [turned_hard(server, at)]
    if task in HARD_TASKS:
        return [
            f.RebootFailed(at=at, server_id=id, operation=operation, reason=reason, power_state=0)
        ]
    if task == "deleting":
        return [deleted(server, at, host_silent=True)]
    return [f.OperationTimedOut(at=at, server_id=id, operation=operation, task=task, reason=reason)]
