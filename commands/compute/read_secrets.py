"""Read a server's secrets: may this host have them now?

A host asks the API, which asks here, since only the server's own decider knows where the server is
placed. Nothing changes; a refusal is recorded, since a host has no reason to ask in vain.
"""

from __future__ import annotations

from typing import Annotated

from commands.decision import Decision, accept, decides, refuse
from events.compute.server import Server
from events.message import Command, Generation, HostName, ProjectId, ServerId


class ReadSecrets(Command, frozen=True, kw_only=True):
    """A host, which has proved who it is, wants what ``secrets_id`` keeps of the server."""

    server_id: ServerId
    project_id: ProjectId
    host: HostName
    generation: Generation
    secrets_id: Annotated[str, "Under which they are stored."]


@decides(ReadSecrets, "server", key="server_id")
def decide(server: Server | None, command: ReadSecrets, at: int) -> Decision:
    """Accept where the server is placed on the host, by this attempt; else 403 or 404."""
    if server is None or server.project_id != command.project_id:
        return refuse(404, "itemNotFound", f"Instance {command.server_id} could not be found.")
    if (server.host, server.generation) != (command.host, command.generation):
        return refuse(
            403,
            "forbidden",
            f"Instance {command.server_id} is not placed on host {command.host}.",
        )
    if server.secrets is None or server.secrets.secrets_id != command.secrets_id:
        return refuse(404, "itemNotFound", f"Instance {command.server_id} has no such secrets.")
    return accept()
