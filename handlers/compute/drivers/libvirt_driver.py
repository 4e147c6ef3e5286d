"""Guests on a libvirt host (see `contract.Driver` for what each method promises).

libvirt and the files under `instances_dir` are the only memory: each step looks there first. A
guest is this driver's when its domain's metadata names this host; other domains are never touched.
Files of a guest: `<instances_dir>/<server id>/`, renamed to `<server id>_del` while being removed.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

import libvirt

from handlers.compute.drivers import config_drive, disks, guest_mark
from handlers.compute.drivers.contract import (
    DriverError,
    GuestNotFound,
    GuestSpec,
    HostResources,
    ImageFetch,
    LifecycleCallback,
    LifecycleEvent,
    PowerState,
    ReadSecrets,
    Removed,
)
from handlers.compute.drivers.defined_guests import marked, read_mark, remove_mark, write_mark
from handlers.compute.drivers.disk_errors import disk_errors_named
from handlers.compute.drivers.domain_host import MACHINE, domain_host
from handlers.compute.drivers.domain_xml import (
    CONSOLE_LOG,
    Ownership,
    domain_xml,
    wanted_ownership,
)
from handlers.compute.drivers.host_resources import host_resources
from handlers.compute.drivers.image_cache import ImageCache
from handlers.compute.drivers.image_cache_removal import remove_unused
from handlers.compute.drivers.libvirt_connection import LibvirtConnection
from handlers.compute.drivers.libvirt_domain import (
    ask_to_shut_down,
    destroy,
    find,
    nova_state,
    power_state,
    read_ownership,
    start,
    undefine,
)
from handlers.compute.drivers.libvirt_events import GuestEvents
from handlers.compute.drivers.removed_guests import FILE, RemovedGuests, newest
from handlers.performer.mark import Mark

SHUTDOWN_RETRY_S = 10.0  # Nova's shutdown_retry_interval
LOOK_AGAIN_S = 1.0  # while waiting for a guest, in case its event was lost

_EVENT_OF_STATE = {
    PowerState.NOSTATE: LifecycleEvent.STOPPED,
    PowerState.RUNNING: LifecycleEvent.STARTED,
    PowerState.PAUSED: LifecycleEvent.PAUSED,
    PowerState.SHUTDOWN: LifecycleEvent.STOPPED,
    PowerState.CRASHED: LifecycleEvent.STOPPED,
    PowerState.SUSPENDED: LifecycleEvent.SUSPENDED,
}
_OFF = (PowerState.SHUTDOWN, PowerState.CRASHED, PowerState.NOSTATE)


class LibvirtDriver:
    """One host. `virt_type` is qemu or kvm (`libvirt_probe`)."""

    def __init__(
        self,
        host: str,
        instances_dir: Path,
        uri: str,
        virt_type: str,
        *,
        host_ip: str = "127.0.0.1",
        machine: str = MACHINE,
    ) -> None:
        self._host = host
        self._instances_dir = instances_dir.resolve()
        self._domain_host = domain_host(host, virt_type, instances_dir, machine)
        self._host_ip = host_ip
        self._cache = ImageCache(self._instances_dir)
        self._events = GuestEvents(self._owns)
        self._libvirt = LibvirtConnection(uri, self._events.subscribe)
        self._owned: dict[str, bool] = {}
        self._removed = RemovedGuests(self._instances_dir / FILE)

    @property
    def host(self) -> str:
        """The host's name in Chronova."""
        return self._host

    # --- steps -------------------------------------------------------------------------------

    def ensure_image(self, spec: GuestSpec, fetch: ImageFetch) -> None:
        """Fetch, verify, convert to raw."""
        self._cache.ensure(spec, fetch)

    def ensure_disks(self, spec: GuestSpec) -> None:
        """qcow2 overlays on the cached image and on made ephemeral and swap bases."""
        folder, mark = self._folder(spec.server_id), self._mark(spec.server_id)
        if mark is not None and mark.generation >= spec.generation:
            disks.check_present(spec, folder)
        disks.ensure_disks(spec, folder, self._cache)

    def ensure_bases(self, spec: GuestSpec, fetch: ImageFetch) -> None:
        """The image and the ephemeral and swap bases."""
        disks.ensure_bases(spec, self._folder(spec.server_id), self._cache, fetch)

    def ensure_config_drive(self, spec: GuestSpec, read_secrets: ReadSecrets) -> None:
        """An ISO 9660 image."""
        config_drive.ensure_config_drive(spec, self._folder(spec.server_id), read_secrets)

    def ensure_defined(self, spec: GuestSpec) -> None:
        """Define the domain, unless one with the same definition is there."""
        folder = self._folder(spec.server_id)
        disks.check_present(spec, folder)
        xml = domain_xml(spec, self._domain_host, folder)
        wanted = wanted_ownership(xml)
        with self._libvirt.calling() as connection:
            domain = find(connection, spec.server_id)
            if domain is not None:
                known = read_ownership(domain, self._host)
                if known is None:
                    raise DriverError(
                        f"A domain {spec.server_id} that is not Chronova's is on {self._host}."
                    )
                if known == wanted and domain.isPersistent():
                    return
            self._ensure_console_file(folder)
            with disk_errors_named(f"server {spec.server_id}"):
                write_mark(folder, wanted)
            connection.defineXML(xml)
        self._owned[spec.server_id] = True

    def ensure_running(self, server_id: str) -> None:
        """Create, resume or wake the domain."""
        with self._libvirt.calling() as connection:
            start(self._domain(connection, server_id))

    def ensure_stopped(self, server_id: str, graceful_timeout_s: float) -> None:
        """ACPI shutdown, then destroy. A guest that libvirt lost is off."""
        with self._libvirt.calling() as connection:
            if find(connection, server_id) is None and self._mark(server_id) is not None:
                return
            domain = self._domain(connection, server_id)
            if power_state(domain) is PowerState.RUNNING and graceful_timeout_s > 0:
                self._shut_down(domain, graceful_timeout_s)
            destroy(domain)

    def reboot_soft(self, server_id: str, timeout_s: float) -> bool:
        """ACPI shutdown and start; a guest that restarts by itself has done it, too."""
        with self._libvirt.calling() as connection:
            domain = self._domain(connection, server_id)
            state = power_state(domain)
            if state is PowerState.PAUSED:
                return False
            if state is PowerState.RUNNING:
                resets = self._events.resets(server_id)
                if not self._shut_down(domain, timeout_s, or_restart=True):
                    return self._events.resets(server_id) != resets
            start(domain)
            return True

    def reboot_hard(self, spec: GuestSpec, read_secrets: ReadSecrets) -> None:
        """Destroy, restore the config drive, define, create."""
        disks.check_present(spec, self._folder(spec.server_id))
        with self._libvirt.calling() as connection:
            domain = find(connection, spec.server_id)
            if domain is not None and read_ownership(domain, self._host) is not None:
                destroy(domain)
        self.ensure_config_drive(spec, read_secrets)
        self.ensure_defined(spec)
        self.ensure_running(spec.server_id)

    def ensure_absent(self, server_id: str, disks: bool = True) -> None:
        """Destroy, undefine, and with ``disks`` remove the files."""
        folder = self._folder(server_id)
        with self._libvirt.calling() as connection:
            domain = find(connection, server_id)
            if domain is not None and read_ownership(domain, self._host) is not None:
                destroy(domain)
                undefine(domain)
        self._owned.pop(server_id, None)
        self._events.forget(server_id)
        if not disks:
            with disk_errors_named(f"server {server_id}"):
                remove_mark(folder)
            return
        leaving = folder.with_name(f"{server_id}_del")
        with disk_errors_named(f"server {server_id}"):
            if leaving.exists():
                shutil.rmtree(leaving)
            if folder.exists():
                folder.rename(leaving)
                shutil.rmtree(leaving)

    def remove_unused(self, age_s: float) -> list[str]:
        """Bases on which no disk of any guest is a layer, and leftovers of fetches."""
        with disk_errors_named("the image cache"):
            return remove_unused(self._cache, self._instances_dir, age_s)

    # --- looking -----------------------------------------------------------------------------

    def power_state(self, server_id: str) -> PowerState:
        """The state of the domain; NOSTATE when there is none of ours."""
        with self._libvirt.calling() as connection:
            domain = find(connection, server_id)
            if domain is None or not self._owned_domain(domain):
                return PowerState.NOSTATE
            return power_state(domain)

    def power_states(self) -> dict[str, PowerState]:
        """One call for all domains' states (and one for each domain not seen before).

        A guest whose mark is here and whose domain is not is in NOSTATE.
        """
        lost = marked(self._instances_dir)
        states = {}
        with self._libvirt.calling() as connection:
            for domain, stats in connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE):
                server_id = domain.UUIDString()
                if self._owned_domain(domain):
                    states[server_id] = nova_state(stats["state.state"], stats["state.reason"])
        for gone in set(self._owned) - set(states):
            self._owned.pop(gone, None)
        return dict.fromkeys(lost, PowerState.NOSTATE) | states

    def generation(self, server_id: str) -> int | None:
        """From the domain's metadata, or the mark of one that is lost."""
        known = self._ownership(server_id)
        return known.generation if known is not None else None

    def project_id(self, server_id: str) -> str | None:
        """From the domain's metadata, or the mark of one that is lost."""
        known = self._ownership(server_id)
        return known.project_id if known is not None else None

    def _ownership(self, server_id: str) -> Ownership | None:
        with self._libvirt.calling() as connection:
            domain = find(connection, server_id)
            if domain is None:
                return self._mark(server_id)
            return read_ownership(domain, self._host)

    def _mark(self, server_id: str) -> Ownership | None:
        known = read_mark(self._folder(server_id))
        return known if known is not None and known.host == self._host else None

    def mark(self, server_id: str) -> Mark | None:
        """From the file beside the guest's disks, or the list of removed ones."""
        return newest(guest_mark.read(self._folder(server_id)), self._removed.mark(server_id))

    def put_mark(self, server_id: str, mark: Mark) -> None:
        """Into the file beside the guest's disks."""
        guest_mark.write(self._folder(server_id), mark)

    def remember_removed(self, server_id: str, project_id: str, mark: Mark) -> None:
        """Into a file beside the guests' folders."""
        self._removed.add(server_id, project_id, mark)

    def removed(self) -> list[Removed]:
        """From that file."""
        return self._removed.all()

    def incarnation(self, server_id: str) -> str:
        """The number that libvirt gave the running domain; each start gives another."""
        with self._libvirt.calling() as connection:
            domain = find(connection, server_id)
            return str(domain.ID()) if domain is not None and domain.isActive() else ""

    def console_log(self, server_id: str, bytes_max: int) -> bytes:
        """The tail of what virtlogd wrote."""
        path = self._folder(server_id) / CONSOLE_LOG
        try:
            with path.open("rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(0, size - bytes_max))
                return stream.read(bytes_max)
        except FileNotFoundError:
            if self.power_state(server_id) is PowerState.NOSTATE:
                raise _not_found(server_id, self._host) from None
            return b""

    def resources(self) -> HostResources:
        """Of the node that libvirt runs on."""
        running = sum(state is PowerState.RUNNING for state in self.power_states().values())
        with self._libvirt.calling() as connection:
            return host_resources(
                connection,
                host=self._host,
                host_ip=self._host_ip,
                instances_dir=self._instances_dir,
                running_vms=running,
            )

    def listen(self, callback: LifecycleCallback) -> None:
        """Events from libvirt; after a lost connection, each guest's present state once."""
        self._events.listen(callback)
        self._libvirt.watch(self._tell_states)

    def close(self) -> None:
        """Close the connection and end the threads."""
        self._events.close()
        self._libvirt.close()

    # --- within ------------------------------------------------------------------------------

    def _folder(self, server_id: str) -> Path:
        try:
            plain = str(uuid.UUID(server_id))
        except ValueError:
            raise DriverError(f"{server_id!r} is not a server's id.") from None
        return self._instances_dir / plain

    def _domain(self, connection: Any, server_id: str) -> Any:
        domain = find(connection, server_id)
        if domain is None or not self._owned_domain(domain):
            raise _not_found(server_id, self._host)
        return domain

    def _owned_domain(self, domain: Any) -> bool:
        server_id = domain.UUIDString()
        known = self._owned.get(server_id)
        if known is None:
            known = self._owned[server_id] = read_ownership(domain, self._host) is not None
        return known

    def _owns(self, server_id: str) -> bool:
        known = self._owned.get(server_id)
        return known if known is not None else self.generation(server_id) is not None

    def _tell_states(self) -> None:
        for server_id, state in self.power_states().items():
            event = _EVENT_OF_STATE.get(state)
            if event is not None:
                self._events.put(server_id, event)

    def _ensure_console_file(self, folder: Path) -> None:
        """Ours, before virtlogd opens it as root, so that this process may read it."""
        (folder / CONSOLE_LOG).touch(mode=0o660)

    def _shut_down(self, domain: Any, timeout_s: float, *, or_restart: bool = False) -> bool:
        """Ask by ACPI, again and again, until the guest is off: True. Time over: False.

        With `or_restart`, a guest that restarts by itself ends the waiting, too (False).
        """
        server_id = domain.UUIDString()
        resets = self._events.resets(server_id)
        ask_at = now = time.monotonic()
        until = now + timeout_s
        while True:
            seen = self._events.seen()
            if power_state(domain) in _OFF:
                return True
            restarted = or_restart and self._events.resets(server_id) != resets
            now = time.monotonic()
            if restarted or now >= until:
                return False
            if now >= ask_at:
                ask_to_shut_down(domain)
                ask_at = now + SHUTDOWN_RETRY_S
            self._events.wait(seen, min(LOOK_AGAIN_S, until - now))


def _not_found(server_id: str, host: str) -> GuestNotFound:
    return GuestNotFound(f"Server {server_id} has no guest on {host}.")
