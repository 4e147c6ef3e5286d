"""A server as its host is told of it: all that is needed to make the guest, and no more."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from commands.work import Order
from events.compute.flavor import FlavorSnapshot
from events.compute.server import ImageSnapshot, PublicKey, SecretsRef, Server
from events.compute.server.facts import Operation
from events.message import (
    Amount,
    Command,
    Generation,
    HostName,
    Instant,
    ProjectId,
    ServerId,
    UserId,
)


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    """The guest to be made. Its host asks the API for what ``secrets`` names, when it needs it."""

    server_id: ServerId
    project_id: ProjectId
    user_id: UserId
    generation: Generation
    name: Annotated[str, "Display name."]
    hostname: Annotated[str, "Host name that the guest is told."]
    flavor: Annotated[FlavorSnapshot, "The flavor."]
    image: Annotated[ImageSnapshot | None, "The image."] = None
    metadata: Annotated[dict[str, str], "Metadata."] = {}
    config_drive: Annotated[bool, "Make a config drive."] = False
    secrets: Annotated[SecretsRef | None, "Where user data and password are kept."] = None
    public_key: Annotated[PublicKey | None, "Public key."] = None
    availability_zone: Annotated[str, "Zone of the host."] = "nova"
    launch_index: Annotated[Amount, "Number among the servers of one request."] = 0
    created_at: Instant


def guest_of(server: Server) -> Guest:
    """What a host is told of ``server``."""
    return Guest(
        server_id=server.server_id,
        project_id=server.project_id,
        user_id=server.user_id,
        generation=server.generation,
        name=server.name,
        hostname=server.hostname,
        flavor=server.flavor,
        image=server.image,
        metadata=server.metadata,
        config_drive=server.config_drive,
        secrets=server.secrets,
        public_key=server.public_key,
        availability_zone=server.availability_zone or "nova",
        launch_index=server.launch_index,
        created_at=server.created_at,
    )


class GuestWork(Order, frozen=True, kw_only=True):
    """Base of the work on one guest. A newer operation or generation supersedes an older one."""

    abstract = True
    subject_field: ClassVar[str] = "server_id"
    server_id: ServerId
    project_id: ProjectId


class GuestReport(Command, frozen=True, kw_only=True):
    """Base of what a host says of one guest; what it answers to is repeated.

    A host is believed only about guests that are placed on it.
    """

    abstract = True
    from_hosts = True
    server_id: ServerId
    project_id: ProjectId
    host: HostName = ""
    generation: Generation
    operation: Operation
