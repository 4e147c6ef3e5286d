"""Lock a server against changes by non-admins, and unlock it.

Locking again by the owner is the same as once; an admin of another project upgrades the lock.
"""

from __future__ import annotations

from typing import Annotated

from commands.compute.checks import not_found
from commands.decision import Decision, accept, decides, refuse
from events.compute.server import Server
from events.compute.server import facts as f
from events.message import Command, ServerId, Text


class LockServer(Command, frozen=True, kw_only=True):
    """Lock the server."""

    server_id: ServerId
    reason: Annotated[Text | None, "Why."] = None
    by_admin: Annotated[bool, "The locker is of another project than the server."] = False


class UnlockServer(Command, frozen=True, kw_only=True):
    """Unlock the server."""

    server_id: ServerId
    override: Annotated[bool, "The caller may undo an admin's lock."] = False


@decides(LockServer, "server", key="server_id")
def lock(server: Server | None, command: LockServer, at: int) -> Decision:
    """202 or 404."""
    if server is None:
        return not_found(command.server_id)
    by = "admin" if command.by_admin else "owner"
    if server.locked_by == by or (server.locked_by == "admin" and by == "owner"):
        return accept()
    return accept(
        f.ServerLocked(
            at=at, server_id=server.server_id, locked_by=by, locked_reason=command.reason
        )
    )


@decides(UnlockServer, "server", key="server_id")
def unlock(server: Server | None, command: UnlockServer, at: int) -> Decision:
    """202, 403 (an admin's lock) or 404."""
    if server is None:
        return not_found(command.server_id)
    if server.locked_by == "admin" and not command.override:
        return refuse(
            403,
            "forbidden",
            "Policy doesn't allow os_compute_api:os-lock-server:unlock:unlock_override"
            " to be performed.",
        )
    if not server.locked:
        return accept()
    return accept(f.ServerUnlocked(at=at, server_id=server.server_id))
