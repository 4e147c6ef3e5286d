"""Two nodes cannot have one host's name.

HostRegistrationRefused → host: EndAgent, which only the agent of the refused node obeys
"""

from __future__ import annotations

from collections.abc import Iterator

from commands.fleet.host import EndAgent
from events.fleet.host import HostRegistrationRefused
from handlers.reaction import Dispatch, reacts


@reacts(HostRegistrationRefused)
def end_agent(event: HostRegistrationRefused, _: object) -> Iterator[Dispatch]:
    """Both agents read the host's topic; the one whose node is meant ends."""
    reason = (
        f"Host {event.host} is compute node {event.known_node_id}, not {event.node_id}."
        " Give this agent another host_name. If the node was replaced, delete its compute service."
    )
    work = EndAgent(generation=0, operation=event.at, node_id=event.node_id, reason=reason)
    yield Dispatch(work, event.host)
