"""The sign of life of a service. Not an event: it lies in its own short-lived topic.

Whether a host is up is a fact only when it changes (``ServiceWentDown``, ``ServiceCameUp``).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Annotated

from events.bounds import Bound, printable
from events.message import MOMENT, Amount, HostName, Instant, Message

COMPUTE = "nova-compute"
"""Binary name of the service that every compute host runs."""

SCHEDULER = "nova-scheduler"
"""Binary name of the process that owns the fleet's partition."""

CONDUCTOR = "nova-conductor"
"""Binary name of a process that decides: in Nova, the one that does what the API asked for."""


API = "nova-api"
PROJECTOR = "chronova-projector"
"""Names of processes that Nova's list of services does not show."""


TROUBLE = Bound(chars_max=500)
TROUBLES_MAX = 20
"""More of them have one cause."""


class Heartbeat(Message, frozen=True, kw_only=True):
    """A service was alive at this moment."""

    host: HostName
    binary: Annotated[str, "Name of the service, e.g. nova-compute."] = COMPUTE
    at: Instant
    started_at: Annotated[int, MOMENT, "When its process started, microseconds since 1970."]
    version: Annotated[str, "Version of the service's software."] = ""
    troubles: Annotated[
        list[str], TROUBLE, "What waits for somebody's help, one sentence each."
    ] = []
    level: Annotated[Amount, "The highest feature level that its version knows."] = 1
    process: Annotated[str, "Tells processes of one service on one host apart."] = ""
    ending: Annotated[bool, "The last one: the service ends, and is down from now on."] = False


def fitting(troubles: Iterable[str]) -> list[str]:
    """Return as much of ``troubles`` as a heartbeat can hold: what they quote may be of any
    length."""
    chars_max = TROUBLE.chars_max or 0
    return [printable(sentence, chars_max) for sentence in islice(troubles, TROUBLES_MAX)]
