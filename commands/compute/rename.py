"""Change what a server is called: name, host name, description, access addresses, disk config and
the zone that it is pinned to.

No state and no lock is checked, as in Nova.
"""

from __future__ import annotations

from typing import Annotated

from commands.compute.checks import not_found
from commands.decision import Decision, accept, decides
from events.compute.server import Server
from events.compute.server import facts as f
from events.message import Command, ServerId, Text


class RenameServer(Command, frozen=True, kw_only=True):
    """Change the display name."""

    server_id: ServerId
    name: Annotated[str, "The new name."]


class ChangeHostname(Command, frozen=True, kw_only=True):
    """Change the host name in the server's metadata."""

    server_id: ServerId
    hostname: Annotated[str, "The new host name."]


class DescribeServer(Command, frozen=True, kw_only=True):
    """Change the description."""

    server_id: ServerId
    description: Annotated[Text | None, "The new description."] = None


class ChangeAccessAddresses(Command, frozen=True, kw_only=True):
    """Change the access addresses; None leaves one as it is."""

    server_id: ServerId
    access_ip_v4: Annotated[str | None, "IPv4 address, empty, or None."] = None
    access_ip_v6: Annotated[str | None, "IPv6 address, empty, or None."] = None


class ChangeDiskConfig(Command, frozen=True, kw_only=True):
    """Change how the guest's disk is partitioned when it is built the next time."""

    server_id: ServerId
    disk_config: Annotated[str, "AUTO or MANUAL."]


class PinZone(Command, frozen=True, kw_only=True):
    """Pin the server to a zone, or to none; the API knows which zone it is in."""

    server_id: ServerId
    availability_zone: Annotated[str | None, "The zone; null: it may go to any."] = None


@decides(RenameServer, "server", key="server_id")
def rename(server: Server | None, command: RenameServer, at: int) -> Decision:
    """200 or 404; the same name changes nothing."""
    if server is None:
        return not_found(command.server_id)
    if server.name == command.name:
        return accept()
    return accept(f.ServerRenamed(at=at, server_id=server.server_id, server_name=command.name))


@decides(ChangeHostname, "server", key="server_id")
def change_hostname(server: Server | None, command: ChangeHostname, at: int) -> Decision:
    """200 or 404."""
    if server is None:
        return not_found(command.server_id)
    if server.hostname == command.hostname:
        return accept()
    return accept(f.HostnameChanged(at=at, server_id=server.server_id, hostname=command.hostname))


@decides(DescribeServer, "server", key="server_id")
def describe(server: Server | None, command: DescribeServer, at: int) -> Decision:
    """200 or 404."""
    if server is None:
        return not_found(command.server_id)
    if server.description == command.description:
        return accept()
    return accept(
        f.ServerDescribed(at=at, server_id=server.server_id, description=command.description)
    )


@decides(ChangeAccessAddresses, "server", key="server_id")
def change_access(server: Server | None, command: ChangeAccessAddresses, at: int) -> Decision:
    """200 or 404."""
    if server is None:
        return not_found(command.server_id)
    v4 = server.access_ip_v4 if command.access_ip_v4 is None else command.access_ip_v4
    v6 = server.access_ip_v6 if command.access_ip_v6 is None else command.access_ip_v6
    if (v4, v6) == (server.access_ip_v4, server.access_ip_v6):
        return accept()
    return accept(
        f.AccessAddressesChanged(
            at=at, server_id=server.server_id, access_ip_v4=v4, access_ip_v6=v6
        )
    )


@decides(ChangeDiskConfig, "server", key="server_id")
def change_disk_config(server: Server | None, command: ChangeDiskConfig, at: int) -> Decision:
    """200 or 404."""
    if server is None:
        return not_found(command.server_id)
    if server.disk_config == command.disk_config:
        return accept()
    id = server.server_id
    return accept(f.DiskConfigChanged(at=at, server_id=id, disk_config=command.disk_config))


@decides(PinZone, "server", key="server_id")
def pin_zone(server: Server | None, command: PinZone, at: int) -> Decision:
    """200 or 404."""
    if server is None:
        return not_found(command.server_id)
    if server.requested_zone == command.availability_zone and not server.forced_host:
        return accept()
    id = server.server_id
    return accept(f.ZonePinned(at=at, server_id=id, availability_zone=command.availability_zone))
