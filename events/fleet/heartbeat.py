"""The sign of life of a service. Not an event: it lies in its own short-lived topic.

Whether a host is up is a fact only when it changes (``ServiceWentDown``, ``ServiceCameUp``).
"""

from __future__ import annotations

from typing import Annotated

from events.message import MOMENT, HostName, Instant, Message

COMPUTE = "nova-compute"
"""Binary name of the service that every compute host runs."""

SCHEDULER = "nova-scheduler"
"""Binary name of the process that owns the fleet's partition."""


class Heartbeat(Message, frozen=True, kw_only=True):
    """A service was alive at this moment."""

    host: HostName
    binary: Annotated[str, "Name of the service, e.g. nova-compute."] = COMPUTE
    at: Instant
    started_at: Annotated[int, MOMENT, "When its process started, microseconds since 1970."]
    version: Annotated[str, "Version of the service's software."] = ""
    ending: Annotated[bool, "The last one: the service ends, and is down from now on."] = False
