"""Servers in the states that the tests of compute begin with."""

from __future__ import annotations

from typing import Any

import commands.compute  # noqa: F401 - registers the deciders
from commands.compute.create import CreateServers, NewServer
from events.compute.flavor import FlavorSnapshot
from events.compute.server import ImageSnapshot
from events.compute.server import facts as f
from events.message import Event
from tests.parts.given import NOW, Story, given

S = "5a5f1c7e-0000-4000-8000-000000000001"
P = "project"
HOST = "host-1"
FLAVOR = FlavorSnapshot(flavor_id="1", name="m1.tiny", vcpus=1, ram_mib=512, root_gib=1)
IMAGE = ImageSnapshot(
    image_id="image", name="demo", checksum="a" * 128, size_bytes=10, disk_format="raw"
)


def create(*ids: str, **fields: Any) -> CreateServers:
    """A request for these servers."""
    defaults: dict[str, Any] = {
        "project_id": P,
        "user_id": "user",
        "flavor": FLAVOR,
        "image": IMAGE,
        "reservation_id": "r-1",
        "seed": 7,
    }
    servers = [NewServer(server_id=id, name=f"vm-{id[:4]}", hostname="vm") for id in ids or (S,)]
    return CreateServers(servers=servers, **(defaults | fields))


def created(id: str = S, **fields: Any) -> f.ServerCreated:
    """The fact that a server was accepted."""
    defaults: dict[str, Any] = {
        "at": NOW,
        "server_id": id,
        "project_id": P,
        "user_id": "user",
        "server_name": "vm",
        "hostname": "vm",
        "reservation_id": "r-1",
        "flavor": FLAVOR,
        "image": IMAGE,
        "seed": 7,
        "deadline": NOW + 60_000_000,
    }
    return f.ServerCreated(**(defaults | fields))


def selected(generation: int = 1, host: str = HOST, **fields: Any) -> f.HostSelected:
    """The fact that a host was chosen."""
    defaults: dict[str, Any] = {
        "at": NOW,
        "server_id": S,
        "generation": generation,
        "host": host,
        "node": host,
        "alternates": ["host-2"],
        "deadline": NOW + 600_000_000,
    }
    return f.HostSelected(**(defaults | fields))


def building() -> list[Event]:
    """On its host, not yet built."""
    return [created(), selected()]


def active() -> list[Event]:
    """Running."""
    return [*building(), f.DomainStarted(at=NOW, server_id=S, generation=1, power_state=1)]


def stopped() -> list[Event]:
    """Powered off."""
    return [
        *active(),
        f.StopRequested(at=NOW, server_id=S, operation=2, deadline=NOW + 1),
        f.ServerStopped(at=NOW, server_id=S, operation=2, power_state=4),
    ]


def error() -> list[Event]:
    """Failed to be built."""
    return [
        *building(),
        f.BootFailed(at=NOW, server_id=S, generation=1, host=HOST, reason="broken"),
    ]


def compute(*facts: Event) -> Story:
    """A partition of compute in which these facts have happened."""
    return given("compute", *facts)
