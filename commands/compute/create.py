"""Create servers: all of one request or none, within the project's quota.

The API has looked everything up (flavor, image, key) and drawn ids and the seed; they come
embedded, so the decision reads nothing. With an ``Idempotency-Key`` the ids are a function of
project and key: the same request again is accepted and makes nothing new, another body is a 409.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from commands.compute import limits
from commands.compute.checks import conflict
from commands.decision import Decision, View, accept, decides_on_view, refuse
from events.compute.flavor import FlavorSnapshot
from events.compute.project import Project
from events.compute.retries import Retries
from events.compute.server import ImageSnapshot, PublicKey, SecretsRef
from events.compute.server.facts import ServerCreated, ServersRequested
from events.message import Amount, Command, Large, ProjectId, ServerId, Text, UserId


class NewServer(msgspec.Struct, frozen=True, kw_only=True):
    """What distinguishes one server of a request from the others."""

    server_id: ServerId
    name: Annotated[str, "Display name."]
    hostname: Annotated[str, "Host name that the guest is told."]


class CreateServers(Command, frozen=True, kw_only=True):
    """Create ``servers``, at least ``min_count`` of them."""

    project_id: ProjectId
    user_id: UserId
    servers: Annotated[list[NewServer], "max_count servers, in order."]
    min_count: Annotated[Amount, "How many will do when quota does not allow all; 0: all."] = 0
    flavor: Annotated[FlavorSnapshot, "The flavor as it is."]
    image: Annotated[ImageSnapshot | None, "The image as it is."] = None
    metadata: Annotated[dict[str, str], "Metadata."] = {}
    tags: Annotated[list[str], "Tags."] = []
    description: Annotated[Text | None, "Free text."] = None
    key_name: Annotated[str | None, "Name of the key pair."] = None
    public_key: Annotated[PublicKey | None, "Public key for the guest."] = None
    secrets: Annotated[SecretsRef | None, "Where user data and password are kept."] = None
    availability_zone: Annotated[str | None, "Requested zone."] = None
    requested_host: Annotated[str | None, "Host asked for."] = None
    forced_host: Annotated[bool, "The host asked for is taken without filters."] = False
    scheduler_hints: Annotated[dict[str, list[str]], "Scheduler hints."] = {}
    config_drive: Annotated[bool, "A config drive is asked for."] = False
    networks: Annotated[Text, "none, auto, or the requested networks as JSON."] = "none"
    security_groups: Annotated[list[str], "Requested security groups."] = []
    reservation_id: Annotated[str, "Id shared by all servers of the request."]
    seed: Annotated[Large, "Seed of the scheduler's choices."]
    fingerprint: Annotated[str, "Hash of the body with an Idempotency-Key, else empty."] = ""
    disk_config: Annotated[str, "AUTO or MANUAL."] = "MANUAL"
    access_ip_v4: Annotated[str, "Access address."] = ""
    access_ip_v6: Annotated[str, "Access address."] = ""


@decides_on_view(CreateServers)
def decide(view: View, command: CreateServers, at: int) -> Decision:
    """Accept as many as the quota allows, at least ``min_count``; else 403 or 409."""
    project = view.get("project", command.project_id) or Project(project_id=command.project_id)
    again = _asked_before(view, command)
    if again is not None:
        return again
    wanted = len(command.servers)
    if not wanted:
        return accept()
    if command.secrets is not None and at - command.secrets.stored_at > limits.SECRETS_STORED:
        return conflict("The request is too old: what it gave to keep is gone. Ask again.")
    count = min(wanted, _fitting(project, command.flavor, wanted))
    if count < (command.min_count or wanted):
        return _over_quota(project, command, command.min_count or wanted)
    created = [_created(command, i, at) for i in range(count)]
    ids = [event.server_id for event in created]
    return accept(*created, ServersRequested(at=at, server_id=ids[0], server_ids=ids))


def _asked_before(view: View, command: CreateServers) -> Decision | None:
    """What to answer when servers of this request are there, or were there lately; else None.

    All ids are looked at: of a request for several, some may be forgotten and others live.
    """
    gone: Retries | None = view.get("retries", command.project_id)
    known = []
    for server in command.servers:
        memory = view.get("server", server.server_id)
        if memory is None and gone is not None:
            memory = gone.servers.get(server.server_id)
        if memory is not None:
            known.append(memory.fingerprint)
    if not known:
        return None
    if command.fingerprint and set(known) == {command.fingerprint}:
        return accept()
    return conflict("The Idempotency-Key was used before with another request.")


def _limit(project: Project, resource: str) -> int:
    return project.limits.get(resource, limits.QUOTAS[resource])


def _room(project: Project) -> list[tuple[str, int, int]]:
    """(resource, limit, used) of each resource that servers take."""
    used = (project.instances, project.cores, project.ram_mib)
    names = ("instances", "cores", "ram")
    return [(name, _limit(project, name), n) for name, n in zip(names, used, strict=True)]


def _fitting(project: Project, flavor: FlavorSnapshot, wanted: int) -> int:
    fitting = wanted
    for (_, limit, used), each in zip(
        _room(project), (1, flavor.vcpus, flavor.ram_mib), strict=True
    ):
        if limit >= 0 and each:
            fitting = min(fitting, max(0, (limit - used) // each))
    return fitting


def _over_quota(project: Project, command: CreateServers, count: int) -> Decision:
    each = (1, command.flavor.vcpus, command.flavor.ram_mib)
    over = [
        (name, n * count, used, limit)
        for (name, limit, used), n in zip(_room(project), each, strict=True)
        if 0 <= limit < used + n * count
    ]
    names, asked, used, allowed = (", ".join(str(row[i]) for row in over) for i in range(4))
    return refuse(
        403,
        "forbidden",
        f"Quota exceeded for {names}: Requested {asked},"
        f" but already used {used} of {allowed} {names}",
    )


def _created(command: CreateServers, index: int, at: int) -> ServerCreated:
    new = command.servers[index]
    return ServerCreated(
        at=at,
        server_id=new.server_id,
        project_id=command.project_id,
        user_id=command.user_id,
        server_name=new.name,
        hostname=new.hostname,
        reservation_id=command.reservation_id,
        launch_index=index,
        flavor=command.flavor,
        image=command.image,
        metadata=command.metadata,
        tags=command.tags,
        description=command.description,
        public_key=command.public_key,
        secrets=command.secrets,
        availability_zone=command.availability_zone,
        requested_host=command.requested_host,
        forced_host=command.forced_host,
        scheduler_hints=command.scheduler_hints,
        config_drive=command.config_drive,
        networks=command.networks,
        security_groups=command.security_groups,
        disk_config=command.disk_config,
        access_ip_v4=command.access_ip_v4,
        access_ip_v6=command.access_ip_v6,
        seed=command.seed,
        fingerprint=command.fingerprint,
        deadline=at + limits.PLACEMENT,
    )
