"""What can have happened to a server. Append-only: a change of meaning is a new fact.

Requests (``…Requested``) open an operation and carry its deadline; each ends in one fact that
shares its stem: done, or ``…Failed``.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from events.compute.flavor import FlavorSnapshot
from events.compute.server.state import ImageSnapshot, PublicKey, SecretsRef
from events.message import (
    Amount,
    Event,
    Generation,
    HostName,
    Instant,
    Large,
    ProjectId,
    ServerId,
    Text,
    UserId,
)

Operation = Annotated[int, "Number of the operation among the server's; older reports are stale."]
Deadline = Annotated[Instant, "When the operation has failed if nothing ended it before."]
Reason = Annotated[Text, "One sentence for the server's fault."]
Power = Annotated[int, "Power state as read: 0 none, 1 running, 3 paused, 4 off, 6 crashed."]


class ServerFact(Event, frozen=True, kw_only=True):
    """Base of the facts of one server."""

    abstract: ClassVar[bool] = True
    folds: ClassVar[tuple[tuple[str, str], ...]] = (("server", "server_id"),)
    server_id: ServerId


class ServerCreated(ServerFact, frozen=True, kw_only=True):
    """A server was accepted: its quota is taken, a host for it is being looked for."""

    folds = (("server", "server_id"), ("project", "project_id"))
    project_id: ProjectId
    user_id: UserId
    server_name: Annotated[str, "Display name."]
    hostname: Annotated[str, "Host name that the guest is told."]
    reservation_id: Annotated[str, "Id shared by all servers of one request."]
    launch_index: Annotated[Amount, "Number among the servers of one request, from 0."] = 0
    flavor: Annotated[FlavorSnapshot, "The flavor as it was."]
    image: Annotated[ImageSnapshot | None, "The image as it was."] = None
    metadata: Annotated[dict[str, str], "Metadata."] = {}
    tags: Annotated[list[str], "Tags."] = []
    description: Annotated[Text | None, "Free text."] = None
    public_key: Annotated[PublicKey | None, "Public key for the guest."] = None
    secrets: Annotated[SecretsRef | None, "Where user data and password are kept."] = None
    availability_zone: Annotated[str | None, "Requested zone."] = None
    requested_host: Annotated[str | None, "Host asked for."] = None
    forced_host: Annotated[bool, "The host asked for is taken without filters."] = False
    scheduler_hints: Annotated[dict[str, list[str]], "Scheduler hints."] = {}
    config_drive: Annotated[bool, "A config drive was asked for."] = False
    networks: Annotated[Text, "none, auto, or the requested networks as JSON."] = "none"
    security_groups: Annotated[list[str], "Requested security groups."] = []
    disk_config: Annotated[str, "AUTO or MANUAL."] = "MANUAL"
    access_ip_v4: Annotated[str, "Access address as told by the user."] = ""
    access_ip_v6: Annotated[str, "Access address as told by the user."] = ""
    seed: Annotated[Large, "Seed of the scheduler's choices for this server."] = 0
    fingerprint: Annotated[str, "Hash of the request when it had an Idempotency-Key."] = ""
    deadline: Deadline


class ServersRequested(ServerFact, frozen=True, kw_only=True):
    """All servers of one request are accepted: they are to be placed together, all or none.

    In the history of the first of them.
    """

    server_ids: Annotated[list[str], "UUIDs of the servers, in order."]


class HostSelected(ServerFact, frozen=True, kw_only=True):
    """The scheduler's choice was accepted; the host is told to build the server."""

    generation: Generation
    host: HostName
    node: Annotated[str, "Hypervisor's host name."]
    availability_zone: Annotated[str | None, "Zone of the host."] = None
    alternates: Annotated[list[str], "Hosts to try next, best first."] = []
    deadline: Deadline


class FilterCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many hosts one filter left."""

    filter: Annotated[str, "Name of the filter."]
    hosts: Annotated[Amount, "Hosts that passed it."]


class PlacementFailed(ServerFact, frozen=True, kw_only=True):
    """No host could take the server."""

    generation: Generation
    reason: Reason
    hosts_total: Annotated[Amount, "Hosts there were before any filter."] = 0
    filtered: Annotated[list[FilterCount], "What each filter left, in order."] = []


class ImageFetched(ServerFact, frozen=True, kw_only=True):
    """The server's image is in its host's cache."""

    generation: Generation
    deadline: Annotated[Instant | None, "The build's deadline from now on; null: as it was."] = None


class DisksCreated(ServerFact, frozen=True, kw_only=True):
    """The server's disks are on its host."""

    generation: Generation
    deadline: Annotated[Instant | None, "The build's deadline from now on; null: as it was."] = None


class DomainStarted(ServerFact, frozen=True, kw_only=True):
    """The guest runs for the first time: the server is built."""

    generation: Generation
    power_state: Power


class BuildAbandoned(ServerFact, frozen=True, kw_only=True):
    """A host could not build the server. It removes what it made; only then another is tried."""

    generation: Generation
    operation: Operation
    host: HostName
    reason: Reason
    deadline: Deadline


class BootFailed(ServerFact, frozen=True, kw_only=True):
    """A host could not build the server, or did not in time."""

    generation: Generation
    host: Annotated[str | None, "The host that was to build it, if one was selected."] = None
    reason: Reason
    leftovers: Annotated[bool, "The host may still start the guest, or hold something of it."] = (
        False
    )


class RescheduleRequested(ServerFact, frozen=True, kw_only=True):
    """After a failed build another host is looked for."""

    generation: Generation
    failed_hosts: Annotated[list[str], "Hosts not to be tried again."]
    deadline: Deadline


class OperationProgressed(ServerFact, frozen=True, kw_only=True):
    """The host goes on with a long operation, which gets more time."""

    operation: Operation
    step: Annotated[str, "What the host does, e.g. image."]
    percent: Annotated[int | None, "How much of the step is done, 0 to 100."] = None
    bytes_done: Annotated[Large, "Bytes moved so far."] = 0
    deadline: Deadline


class GuestAdopted(ServerFact, frozen=True, kw_only=True):
    """An operator said that a guest which the log did not know is this server's.

    The server is placed on that host again. The guest's disks are kept, whatever goes wrong.
    """

    host: HostName
    generation: Generation
    operation: Operation
    deadline: Deadline


class OperationNumberRaised(ServerFact, frozen=True, kw_only=True):
    """The host did operations that this log does not know; numbers go on after them.

    This happens after a restore from an older copy of the log.
    """

    operation: Operation


class StopRequested(ServerFact, frozen=True, kw_only=True):
    """The server is to be powered off."""

    operation: Operation
    deadline: Deadline
    unasked: Annotated[bool, "Nobody asked: a guest ran that should be off."] = False


class ServerStopped(ServerFact, frozen=True, kw_only=True):
    """The server is powered off."""

    operation: Operation
    power_state: Power


class StopFailed(ServerFact, frozen=True, kw_only=True):
    """The server could not be powered off, or was not in time."""

    operation: Operation
    reason: Reason


class StartRequested(ServerFact, frozen=True, kw_only=True):
    """The server is to be powered on."""

    operation: Operation
    deadline: Deadline


class ServerStarted(ServerFact, frozen=True, kw_only=True):
    """The server is powered on."""

    operation: Operation
    power_state: Power


class StartFailed(ServerFact, frozen=True, kw_only=True):
    """The server could not be powered on, or was not in time."""

    operation: Operation
    reason: Reason


class RebootRequested(ServerFact, frozen=True, kw_only=True):
    """The server is to be rebooted."""

    operation: Operation
    hard: Annotated[bool, "By power cycle; else the guest is asked."]
    deadline: Deadline


class RebootStarted(ServerFact, frozen=True, kw_only=True):
    """The host has begun to reboot the server."""

    operation: Operation


class RebootTurnedHard(ServerFact, frozen=True, kw_only=True):
    """The guest did not follow a soft reboot in time: it is power cycled."""

    operation: Operation
    deadline: Deadline


class ServerRebooted(ServerFact, frozen=True, kw_only=True):
    """The server has been rebooted."""

    operation: Operation
    power_state: Power


class RebootFailed(ServerFact, frozen=True, kw_only=True):
    """The server could not be rebooted, or was not in time."""

    operation: Operation
    reason: Reason
    power_state: Power


class OperationTimedOut(ServerFact, frozen=True, kw_only=True):
    """An operation that has no way out of its own did not end in time."""

    operation: Operation
    task: Annotated[str, "The task_state in which it stood."]
    reason: Reason


class DeletionRequested(ServerFact, frozen=True, kw_only=True):
    """The server is to be deleted; whatever else was in flight no longer counts."""

    operation: Operation
    deadline: Deadline


class DeletionFailed(ServerFact, frozen=True, kw_only=True):
    """The host could not remove the server; deleting may be asked for again."""

    operation: Operation
    reason: Reason


class ServerDeleted(ServerFact, frozen=True, kw_only=True):
    """The server is gone; its quota is free again."""

    folds = (
        ("server", "server_id"),
        ("project", "project_id"),
        ("retries", "project_id"),
        ("departed", "project_id"),
    )
    project_id: ProjectId
    vcpus: Annotated[Amount, "Virtual CPUs given back to the project's quota."]
    ram_mib: Annotated[Amount, "Memory (MiB) given back to the project's quota."]
    host: Annotated[str | None, "Host that it was on."] = None
    generation: Generation
    fingerprint: Annotated[str, "Hash of the create request, if it had an Idempotency-Key."] = ""
    host_silent: Annotated[
        bool, "The host did not answer; it removes the guest when it is back."
    ] = False
    operation: Operation = 0
    leftovers: Annotated[bool, "A host may still hold something of the server."] = False


class ServerRenamed(ServerFact, frozen=True, kw_only=True):
    """The display name changed."""

    server_name: Annotated[str, "The new name."]


class HostnameChanged(ServerFact, frozen=True, kw_only=True):
    """The host name in the server's metadata changed."""

    hostname: Annotated[str, "The new host name."]


class ServerDescribed(ServerFact, frozen=True, kw_only=True):
    """The description changed."""

    description: Annotated[Text | None, "The new description."] = None


class AccessAddressesChanged(ServerFact, frozen=True, kw_only=True):
    """The addresses that users say reach the server changed."""

    access_ip_v4: Annotated[str, "IPv4 address or empty."]
    access_ip_v6: Annotated[str, "IPv6 address or empty."]


class DiskConfigChanged(ServerFact, frozen=True, kw_only=True):
    """The disk is to be partitioned in another way when the guest is built the next time."""

    disk_config: Annotated[str, "AUTO or MANUAL."]


class ZonePinned(ServerFact, frozen=True, kw_only=True):
    """The zone that the server may not leave is another one."""

    availability_zone: Annotated[str | None, "The zone; null: it may go to any."] = None


class MetadataChanged(ServerFact, frozen=True, kw_only=True):
    """The metadata changed; this is all of it."""

    metadata: Annotated[dict[str, str], "All metadata from now on."]


class TagsChanged(ServerFact, frozen=True, kw_only=True):
    """The tags changed; these are all of them."""

    tags: Annotated[list[str], "All tags from now on."]


class ServerLocked(ServerFact, frozen=True, kw_only=True):
    """The server was locked against changes by non-admins."""

    locked_by: Annotated[str, "owner or admin."]
    locked_reason: Annotated[Text | None, "Why, in the locker's words."] = None


class ServerUnlocked(ServerFact, frozen=True, kw_only=True):
    """The server may be changed again."""


class PowerStateObserved(ServerFact, frozen=True, kw_only=True):
    """The hypervisor's power state differed from the recorded one, and that was all right."""

    power_state: Power


class GuestHalted(ServerFact, frozen=True, kw_only=True):
    """The guest went off without being asked: the server is stopped."""

    power_state: Power


class ReportIgnored(Event, frozen=True, kw_only=True):
    """A host's or the scheduler's report no longer counts, and why. Not in the server's history:
    the server may be gone."""

    server_id: ServerId
    report: Annotated[str, "Message name of the report."]
    reason: Annotated[Text, "Why it does not count."]


class HostSelectionDiscarded(Event, frozen=True, kw_only=True):
    """A host was found for a server that no longer wants it: its claim is given back."""

    server_id: ServerId
    generation: Generation
    host: HostName


class GuestRemovalConfirmed(Event, frozen=True, kw_only=True):
    """A host that was silent has nothing left of a guest: its room may be given to others."""

    server_id: ServerId
    generation: Generation
    host: HostName


class StaleGuestFound(Event, frozen=True, kw_only=True):
    """A host holds a guest of which this log knows that it is over: the host is told to remove it.

    Its server was deleted, its build failed there, or the server was placed elsewhere since. So it
    is told of a guest that it could not remove before, when it starts.
    """

    server_id: ServerId
    project_id: ProjectId
    generation: Generation
    host: HostName
    operation: Operation = 0
    disks: Annotated[bool, "Its disks are of no use either and are removed too."] = False
