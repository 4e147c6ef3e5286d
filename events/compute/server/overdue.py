"""The command that ends an operation whose deadline has passed.

A deadline is data in the server's state; the decider that owns the partition sends this to
itself when it passes. So no ``task_state`` can outlive it.
"""

from __future__ import annotations

from typing import Annotated

from events.compute.server.state import Server
from events.message import Command, Instant, ServerId


class EndOverdueOperation(Command, frozen=True, kw_only=True):
    """The deadline of the server's operation has passed: find its way out."""

    server_id: ServerId
    deadline: Annotated[Instant, "The deadline meant; another one is not affected."]


def overdue(server: Server) -> EndOverdueOperation:
    """What to send when ``server.deadline`` passes."""
    return EndOverdueOperation(server_id=server.server_id, deadline=server.deadline or 0)
