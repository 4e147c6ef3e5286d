"""A boot that waits for its host, and what the host may say."""

from __future__ import annotations

from commands.compute.boot import ReportBootFailed
from commands.compute.create import CreateServers
from events import topics
from events.compute.server import Server
from handlers.decider import Decider
from tests.commands.compute.servers import create
from tests.commands.fleet.fleet import register
from tests.handlers.decider.site import HOST, Site, settle


def booting(site: Site) -> tuple[Decider, Server]:
    """A server whose host has its work and says nothing."""
    decider = site.decider("first", domains=("compute", "fleet"))
    settle(decider)
    site.append(topics.reports("fleet"), "default", register(HOST))
    settle(decider)
    asked: CreateServers = create()
    site.ask(asked, asked.project_id)
    settle(decider)
    states = decider.states("compute", 0, "server")
    assert states
    (server,) = states.values()
    assert server.task_state == "networking"
    return decider, server


def failed_build(server: Server) -> ReportBootFailed:
    return ReportBootFailed(
        server_id=server.server_id,
        project_id=server.project_id,
        host=HOST,
        generation=server.generation,
        operation=server.operation,
        reason="no disk",
    )
