"""What a compute host's hypervisor can be asked to do, whichever hypervisor it is.

Every step is an *ensure*: it looks at reality first, does only what is missing, and is a no-op when
nothing is. So an agent killed anywhere repeats the step it was in and converges. Steps for one
server are called one at a time; steps for several servers run at once on several threads.
A driver keeps no memory that matters: a new object on the same host finds all guests again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any, Protocol

import msgspec

from commands.work import Version
from handlers.performer.mark import Mark
from handlers.performer.piece import WorkError


class PowerState(IntEnum):
    """Nova's power states (nova/compute/power_state.py). NOSTATE: there is no such guest."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


class LifecycleEvent(StrEnum):
    """What happened to a guest, whoever caused it: the driver, an operator, the guest itself."""

    STARTED = "started"
    STOPPED = "stopped"
    PAUSED = "paused"
    RESUMED = "resumed"
    SUSPENDED = "suspended"


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key pair's public half, as the guest's metadata carries it. `type`: ssh or x509."""

    name: str
    type: str
    public_key: str


class GuestSecrets(msgspec.Struct, frozen=True, kw_only=True):
    """What a guest is given that no record holds. `user_data` is base64 as in the API."""

    user_data: str | None = None
    admin_password: str | None = None

    def __repr__(self) -> str:
        return "GuestSecrets(…)"


ReadSecrets = Callable[[], GuestSecrets]
"""Asks for a guest's secrets. Raises SecretsUnavailable, or DriverError when they are gone."""


class GuestSpec(msgspec.Struct, frozen=True, kw_only=True):
    """All that a host needs to make one server: a dispatch carries it, no database is asked.

    `generation` fences placement attempts. `image_checksum` is the sha512 (hex) of the image's
    data as fetched; `created_at` is in microseconds since the epoch. Secrets are no part of it.
    """

    server_id: str
    name: str
    hostname: str
    project_id: str
    user_id: str
    generation: int
    vcpus: int
    ram_mib: int
    root_gib: int
    ephemeral_gib: int = 0
    swap_mib: int = 0
    flavor_name: str
    flavor_extra_specs: dict[str, str] = {}
    image_id: str
    image_checksum: str
    image_size_bytes: int
    image_disk_format: str
    image_properties: dict[str, str] = {}
    metadata: dict[str, str] = {}
    config_drive: bool = False
    public_keys: list[PublicKey] = []
    availability_zone: str = "nova"
    launch_index: int = 0
    created_at: int


class Removed(msgspec.Struct, frozen=True):
    """A guest that was removed, by the work of ``version``."""

    server_id: str
    project_id: str
    version: Version


class HostResources(msgspec.Struct, frozen=True, kw_only=True):
    """What the host has, as `os-hypervisors` and the scheduler's inventories want it.

    `cpu_info` has arch, model, vendor, features (names) and topology (sockets, cores, threads);
    `hypervisor_version` is libvirt's integer (major * 1,000,000 + minor * 1,000 + release);
    `supported_instances` are (arch, hypervisor type, vm mode), e.g. (x86_64, qemu, hvm).
    """

    vcpus: int
    ram_mib: int
    disk_gib: int
    hypervisor_type: str
    hypervisor_version: int
    hypervisor_hostname: str
    cpu_info: dict[str, Any]
    host_ip: str
    supported_instances: list[tuple[str, str, str]]
    uptime: str
    running_vms: int


class DriverError(WorkError):
    """A step could not be done. The text is one sentence, fit for the server's fault."""


class ImageCorrupt(DriverError):
    """The image's data is not what its checksum, or its format, promised."""


class ImageUnavailable(DriverError):
    """The image's data could not be fetched (raised by the `ImageFetch`, or by the cache)."""

    transient = True


class SecretsUnavailable(DriverError):
    """The guest's user data and password could not be read now."""

    transient = True


class DiskFull(DriverError):
    """The host has no room left for the guest's files."""


class DiskMissing(DriverError):
    """A disk that the guest had is gone from the host. Nothing makes another in its place."""


class FlavorDiskTooSmall(DriverError):
    """The image's virtual size is larger than the flavor's root disk."""


class HypervisorUnavailable(DriverError):
    """The hypervisor does not answer; the driver reconnects by itself at the next call."""

    transient = True


class GuestNotFound(DriverError):
    """The step needs a defined guest, and there is none with that id."""


ImageFetch = Callable[[str, Path], None]
"""`fetch(image_id, path)` streams the image's data into the new file `path`.

Raises ImageUnavailable when it cannot; OSErrors of writing may pass through.
"""

LifecycleCallback = Callable[[str, LifecycleEvent], None]
"""`callback(server_id, event)`: called on the driver's thread; must return at once."""


class Driver(Protocol):
    """One host's hypervisor. All methods may raise HypervisorUnavailable beside what they name."""

    @property
    def host(self) -> str:
        """The host's name in Chronova."""
        ...

    def ensure_image(self, spec: GuestSpec, fetch: ImageFetch) -> None:
        """Have the image in the host's cache, verified. Concurrent calls fetch it once.

        Raises ImageCorrupt, ImageUnavailable, DiskFull, or FlavorDiskTooSmall before the image is
        converted; a failed fetch leaves nothing behind.
        """
        ...

    def ensure_disks(self, spec: GuestSpec) -> None:
        """Have root, ephemeral and swap disks. Existing ones are kept with their contents.

        Raises FlavorDiskTooSmall, DiskFull, or ImageUnavailable when the image is not cached;
        DiskMissing when the guest was defined before: it had them.
        """
        ...

    def ensure_bases(self, spec: GuestSpec, fetch: ImageFetch) -> None:
        """Have what the guest's disks are layers of: fetched or made again where it is gone.

        Every start but the first begins with it. Raises DiskMissing, for a disk itself is made
        only by `ensure_disks`, in a build; ImageCorrupt, ImageUnavailable or DiskFull.
        """
        ...

    def ensure_config_drive(self, spec: GuestSpec, read_secrets: ReadSecrets) -> None:
        """Have the config drive, when the spec or the image asks for one. Written once; only then
        are the secrets read."""
        ...

    def ensure_defined(self, spec: GuestSpec) -> None:
        """Have the guest defined as the spec says. A running guest takes it at its next start."""
        ...

    def ensure_running(self, server_id: str) -> None:
        """Have the guest running: started, resumed or restored. Raises GuestNotFound."""
        ...

    def ensure_stopped(self, server_id: str, graceful_timeout_s: float) -> None:
        """Have the guest off, and defined if it was. Raises GuestNotFound.

        The guest is asked by ACPI, again every 10 s; after the timeout (0: at once) it is cut off.
        """
        ...

    def reboot_soft(self, server_id: str, timeout_s: float) -> bool:
        """Ask the guest to go down, then start it. Raises GuestNotFound.

        True: it went down (or was) and runs again. False: it did not within the time, and was
        left running: the caller may turn to `reboot_hard`.
        """
        ...

    def reboot_hard(self, spec: GuestSpec, read_secrets: ReadSecrets) -> None:
        """Cut the guest off, define it anew from the spec, start it. Disks keep their contents.

        Raises DiskMissing, with the guest as it was.
        """
        ...

    def ensure_absent(self, server_id: str, disks: bool = True) -> None:
        """Have no guest and, with `disks`, no file of it. Fine when there is only a part."""
        ...

    def mark(self, server_id: str) -> Mark | None:
        """The mark of what was last done for the guest, its removal too; None when there is
        none."""
        ...

    def put_mark(self, server_id: str, mark: Mark) -> None:
        """Keep the mark with the guest's files, durably. No-op when there is nothing of it."""
        ...

    def remember_removed(self, server_id: str, project_id: str, mark: Mark) -> None:
        """Keep, durably and apart from the guest's files, that the guest was removed."""
        ...

    def removed(self) -> Sequence[Removed]:
        """The guests of which that is kept, oldest first."""
        ...

    def incarnation(self, server_id: str) -> str:
        """A text that differs after each start of the guest; empty while it does not run."""
        ...

    def remove_unused(self, age_s: float) -> list[str]:
        """Remove from the host's cache what no guest has used for so long; the names of it.

        Safe beside builds: one that misses its image fetches it again.
        """
        ...

    def power_state(self, server_id: str) -> PowerState:
        """The guest's state; NOSTATE when it is not defined here."""
        ...

    def power_states(self) -> dict[str, PowerState]:
        """The state of each guest that this host's driver defined, by server id.

        NOSTATE: the hypervisor has lost it. Its files are here, and a definition heals it.
        """
        ...

    def generation(self, server_id: str) -> int | None:
        """The generation that the guest was last defined with; None when there is no guest.

        A guest that the hypervisor lost has the one it had.
        """
        ...

    def project_id(self, server_id: str) -> str | None:
        """The project that the guest was last defined for; None when there is no guest."""
        ...

    def console_log(self, server_id: str, bytes_max: int) -> bytes:
        """The tail of the serial console, at most `bytes_max` bytes; empty before the first start.

        Raises GuestNotFound.
        """
        ...

    def resources(self) -> HostResources:
        """What the host has, and how many guests run on it."""
        ...

    def listen(self, callback: LifecycleCallback) -> None:
        """Call back at each lifecycle event of this host's guests, until `close`.

        Events are hints: some may be lost (a restart of libvirtd), so a periodic look at
        `power_states` stays necessary. The driver's own acts cause events, too; after a lost
        connection each guest's present state is told once more.
        """
        ...

    def close(self) -> None:
        """Let go of the hypervisor. Guests go on."""
        ...
