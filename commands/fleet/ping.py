"""Is anybody deciding? Accepted, and nothing happens: the answer is all that is wanted."""

from __future__ import annotations

from typing import Annotated

from commands.decision import Decision, View, accept, decides_on_view
from events.message import Command


class Ping(Command, frozen=True, kw_only=True):
    """Ask the scheduler for a sign of life."""

    key: Annotated[str, "Key it is sent with: that partition's decider is asked."]


@decides_on_view(Ping)
def ping(view: View, command: Ping, at: int) -> Decision:
    """Accept."""
    return accept()
