"""What is known of a server."""

from __future__ import annotations

from typing import Annotated

import msgspec

from events.compute.flavor import FlavorSnapshot
from events.message import Amount, Instant, Large, Text

NOSTATE, RUNNING, PAUSED, SHUTDOWN, CRASHED, SUSPENDED = 0, 1, 3, 4, 6, 7
"""Nova's power states."""


class ImageSnapshot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An image as it was when a server was made from it."""

    image_id: Annotated[str, "UUID of the image."]
    name: Annotated[str, "Name of the image."]
    checksum: Annotated[str, "SHA-512 of the image's data, hex."]
    size_bytes: Annotated[Large, "Size of the image's data in bytes."]
    disk_format: Annotated[str, "raw, qcow2, …"]
    container_format: Annotated[str, "bare, …"] = "bare"
    virtual_size_bytes: Annotated[Large | None, "Size of its disk in bytes; null: unknown."] = None
    min_disk_gib: Annotated[Amount, "Smallest root disk it fits on, GiB."] = 0
    min_ram_mib: Annotated[Amount, "Least memory it runs in, MiB."] = 0
    properties: Annotated[dict[str, str], "Image properties (hw_…, img_…, os_…)."] = {}


class PublicKey(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The public half of the key pair a server was made with."""

    name: Annotated[str, "Name of the key pair."]
    type: Annotated[str, "ssh or x509."]
    public_key: Annotated[Text, "OpenSSH line or PEM certificate."]


class SecretsRef(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where the user data and the admin password of a server are kept.

    No record holds them. They lie encrypted in a store of the control nodes, with a key for each
    server that is removed with it.
    """

    secrets_id: Annotated[str, "SHA-256 (hex) of what is stored, encrypted; it is stored by it."]
    user_data: Annotated[bool, "There is user data among it."]
    stored_at: Annotated[Instant, "When it was stored."]


class Fault(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why the last operation failed, as the API shows it. ``details`` is for admins."""

    code: int
    message: str
    details: str
    created_at: int


class Server(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A server's state.

    ``generation`` numbers placement attempts, ``operation`` the requests that a host acts on:
    reports that carry others are stale. ``deadline`` is the moment (microseconds) at which the
    operation in flight has failed; no ``task_state`` is ever set without one.
    """

    server_id: str
    project_id: str
    user_id: str
    name: str
    hostname: str
    reservation_id: str
    launch_index: int
    flavor: FlavorSnapshot
    image: ImageSnapshot | None
    metadata: dict[str, str]
    tags: list[str]
    description: str | None
    public_key: PublicKey | None
    secrets: SecretsRef | None
    requested_zone: str | None
    requested_host: str | None
    forced_host: bool
    scheduler_hints: dict[str, list[str]]
    config_drive: bool
    networks: str
    security_groups: list[str]
    disk_config: str
    access_ip_v4: str
    access_ip_v6: str
    seed: int
    fingerprint: str
    created_at: int
    updated_at: int
    vm_state: str = "building"
    task_state: str | None = "scheduling"
    power_state: int = NOSTATE
    generation: int = 1
    operation: int = 1
    deadline: int | None = None
    host: str | None = None
    node: str | None = None
    availability_zone: str | None = None
    alternates: list[str] = []
    failed_hosts: list[str] = []
    progress: int | None = None
    """Percent of the host's step that is done, while it says so."""
    keep_disks: bool = False
    """The disks hold something that no failed build may remove: the guest was adopted."""
    launched_at: int | None = None
    terminated_at: int | None = None
    locked_by: str | None = None
    locked_reason: str | None = None
    fault: Fault | None = None

    @property
    def locked(self) -> bool:
        """Locked against changes by non-admins."""
        return self.locked_by is not None
