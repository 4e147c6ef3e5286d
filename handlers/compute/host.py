"""End an agent whose host's name belongs to another node.

Two agents with one name on two machines would both do the host's work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from commands.compute.work_failed import ReportWorkFailed
from commands.fleet.host import EndAgent
from handlers.compute.drivers.contract import DriverError
from handlers.performer.kind import Kind
from handlers.performer.piece import Task


class AgentRefused(DriverError):
    """The agent may not serve its host. The text says why and what to do."""


def kinds_of_agent(node_ids: Mapping[str, str], refused: Callable[[str], None]) -> dict[str, Kind]:
    """The work on the agent itself. ``node_ids``: by host; ``refused(reason)`` ends the agent."""

    def end(work: EndAgent, task: Task) -> None:
        if node_ids.get(task.host) == work.node_id:
            refused(work.reason)

    return {EndAgent.type_name: Kind(perform=end, failed=failed)}


def failed(work: EndAgent, task: Task, reason: str) -> ReportWorkFailed:
    """Never: there is nothing that could fail."""
    return ReportWorkFailed(
        server_id="",
        project_id="",
        host=task.host,
        generation=work.generation,
        operation=work.operation,
        reason=reason,
    )
