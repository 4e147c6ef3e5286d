"""Finding the server that a path names, and whether this caller may do that to it.

Another project's server is not there at all for whoever is not an admin: 404, as for an unknown
id. Then the rule decides: 403.
"""

from __future__ import annotations

from collections.abc import Callable

from api.compute.faults import not_found
from api.compute.operation import Answer, Call, Run
from api.policy import enforce
from projections.compute.server_queries import ServerRow, find_server

OnServer = Callable[[Call, ServerRow], Answer]


def is_admin(call: Call) -> bool:
    """Whether the caller is an admin: passes locks, sees all projects."""
    return "admin" in call.caller.roles


def find(call: Call, rule: str, deleted: bool = False) -> ServerRow:
    """The server named ``server_id`` in the path. Raises 404 or 403."""
    server = seen(call, deleted)
    enforce(call.caller, rule, server.project_id, server.user_id)
    return server


def seen(call: Call, deleted: bool = False) -> ServerRow:
    """The server named ``server_id`` in the path, whatever is asked of it. Raises 404."""
    server_id = call.params["server_id"]
    server = find_server(call.services.engine, server_id)
    if (
        server is None
        or (server.deleted and not deleted)
        or (server.project_id != call.caller.project_id and not is_admin(call))
    ):
        raise not_found(f"Instance {server_id} could not be found.")
    return server


def on_server(rule: str, run: OnServer) -> Run:
    """``run`` with the server found and the rule passed."""

    def outer(call: Call) -> Answer:
        return run(call, find(call, rule))

    return outer
