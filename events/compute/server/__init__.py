"""A server: its state, its facts, and the fold of them.

``state.py`` what is known of a server, ``facts.py`` what can have happened to it,
``evolve.py`` how a fact changes what is known. Nova's three state values and their meaning:
https://docs.openstack.org/nova/latest/reference/vm-states.html
"""

from events.aggregate import Aggregate, register
from events.compute.server.evolve import evolve
from events.compute.server.overdue import overdue
from events.compute.server.state import Fault, ImageSnapshot, PublicKey, Server

register(
    Aggregate(
        "server",
        "compute",
        Server,
        evolve,
        gone=lambda server: server.vm_state == "deleted",
        deadline=lambda server: server.deadline,
        overdue=overdue,
    )
)

__all__ = ["Fault", "ImageSnapshot", "PublicKey", "Server", "evolve"]
