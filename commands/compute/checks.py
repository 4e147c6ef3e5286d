"""What every operation on a server checks first, in Nova's order: it exists, lock, states.

Each check gives the refusal, or None when it passes:
https://docs.openstack.org/api-ref/compute/#servers-run-an-action-servers-action
"""

from __future__ import annotations

from collections.abc import Collection

from commands.decision import Decision, View, refuse
from events.compute.departed import Departed, Departure
from events.compute.server import Server

NO_TASK: tuple[str | None, ...] = (None,)


def not_found(server_id: str) -> Decision:
    """404: there is no such server (any more)."""
    return refuse(404, "itemNotFound", f"Instance {server_id} could not be found.")


def departure_of(view: View, project_id: str, server_id: str) -> Departure | None:
    """How a server ended that may have left something on a host; None when it is not known."""
    departed: Departed | None = view.get("departed", project_id)
    return departed.servers.get(server_id) if departed is not None else None


def conflict(detail: str) -> Decision:
    """409 with this sentence."""
    return refuse(409, "conflictingRequest", detail)


def locked(server: Server, admin: bool) -> Decision | None:
    """409 when the server is locked and the caller may not pass locks."""
    if server.locked and not admin:
        return conflict(f"Instance {server.server_id} is locked")
    return None


def in_state(
    server: Server,
    action: str,
    vm_states: Collection[str] | None,
    task_states: Collection[str | None] | None = NO_TASK,
    launched: bool = True,
) -> Decision | None:
    """409 unless the server's states are among these (None: any). ``action`` is the name that
    the user knows it by."""
    id = server.server_id
    if vm_states is not None and server.vm_state not in vm_states:
        return conflict(
            f"Cannot '{action}' instance {id} while it is in vm_state {server.vm_state}"
        )
    if task_states is not None and server.task_state not in task_states:
        return conflict(
            f"Cannot '{action}' instance {id} while it is in task_state {server.task_state}"
        )
    if launched and server.launched_at is None:
        return conflict(f"Cannot '{action}' instance {id} while it is in launched_at None")
    return None


def on_host(server: Server) -> Decision | None:
    """409 unless the server has a host."""
    if server.host is None:
        return conflict(f"Instance {server.server_id} is not ready")
    return None
