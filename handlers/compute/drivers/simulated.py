"""A compute host without a hypervisor: deterministic, with delays and faults to choose.

It keeps the contract as the libvirt driver does (one suite runs on both), at a few microseconds
a step, so that scale, simulation and machines without libvirt need no other code path. Time comes
from the injected `sleep`. The guests live in a `SimulatedHypervisor` that outlives the driver:
with a `state_path` even kill -9 of the agent's process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from handlers.compute.drivers.contract import (
    DiskMissing,
    GuestNotFound,
    GuestSpec,
    HostResources,
    ImageFetch,
    ImageUnavailable,
    LifecycleCallback,
    LifecycleEvent,
    PowerState,
    ReadSecrets,
    Removed,
)
from handlers.compute.drivers.image_inspection import check_fits
from handlers.compute.drivers.removed_guests import newest
from handlers.compute.drivers.simulated_console import console_text
from handlers.compute.drivers.simulated_faults import Fault, FaultPlan
from handlers.compute.drivers.simulated_guests import SimulatedGuest, SimulatedHypervisor
from handlers.compute.drivers.simulated_images import SimulatedImages
from handlers.performer.mark import Mark

GIB = 1 << 30


def simulated_resources(
    host: str, vcpus: int = 64, ram_mib: int = 262_144, disk_gib: int = 4096
) -> HostResources:
    """A plausible server of the given size."""
    return HostResources(
        vcpus=vcpus,
        ram_mib=ram_mib,
        disk_gib=disk_gib,
        hypervisor_type="simulated",
        hypervisor_version=1_000_000,
        hypervisor_hostname=host,
        cpu_info={
            "arch": "x86_64",
            "model": "Simulated",
            "vendor": "Chronova",
            "features": ["sse4.2"],
            "topology": {"sockets": 1, "cores": vcpus, "threads": 1},
        },
        host_ip="127.0.0.1",
        supported_instances=[("x86_64", "qemu", "hvm")],
        uptime="simulated",
        running_vms=0,
    )


class SimulatedDriver:
    """The contract (see `contract.Driver`) on a `SimulatedHypervisor`.

    `delays` are seconds by step name, slept when the step has something to do. Guests whose name
    matches `deaf_guests` (fnmatch) ignore ACPI. `hypervisor` wins over `state_path`.
    """

    def __init__(
        self,
        host: str,
        resources: HostResources | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        delays: Mapping[str, float] | None = None,
        faults: Iterable[Fault] = (),
        deaf_guests: str = "",
        state_path: Path | None = None,
        hypervisor: SimulatedHypervisor | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._resources = resources or simulated_resources(host)
        self._sleep = sleep
        self._delays = dict(delays or {})
        self.faults = FaultPlan(faults)
        self._deaf_guests = deaf_guests
        self.hypervisor = hypervisor or SimulatedHypervisor(state_path)
        self._lock = self.hypervisor.lock
        self._callbacks: list[LifecycleCallback] = []
        self._images = SimulatedImages(self.hypervisor, monotonic)

    @property
    def host(self) -> str:
        """The host's name in Chronova."""
        return self._host

    # --- steps -------------------------------------------------------------------------------

    def ensure_image(self, spec: GuestSpec, fetch: ImageFetch) -> None:
        """Fetch the image once, check its sha512, remember that; the data itself is not kept."""
        with self._step("ensure_image", spec.name):
            check_fits(spec, spec.image_size_bytes)
            self._images.ensure(spec, fetch, lambda: self._delay("ensure_image"))

    def ensure_disks(self, spec: GuestSpec) -> None:
        """Remember the disks; they have no contents."""
        with self._step("ensure_disks", spec.name):
            guest = self._guest_for(spec)
            if guest.disks:
                return
            if guest.known and guest.generation >= spec.generation:
                _check_disks(guest)
            if spec.image_id not in self.hypervisor.images:
                raise ImageUnavailable(f"Image {spec.image_id} is not in the cache of {self.host}.")
            check_fits(spec, spec.image_size_bytes)
            self._delay("ensure_disks")
            self._change(guest, disks=True)

    def ensure_bases(self, spec: GuestSpec, fetch: ImageFetch) -> None:
        """Fetch the image again if it is forgotten; needs the disks."""
        with self._step("ensure_bases", spec.name):
            _check_disks(self._guest_for(spec))
            self._images.ensure(spec, fetch, lambda: self._delay("ensure_image"))

    def ensure_config_drive(self, spec: GuestSpec, read_secrets: ReadSecrets) -> None:
        """Remember the config drive, when one is wanted. What it would hold is read, not kept."""
        with self._step("ensure_config_drive", spec.name):
            guest = self._guest_for(spec)
            wanted = spec.config_drive or spec.image_properties.get("img_config_drive") == (
                "mandatory"
            )
            if wanted and not guest.config_drive:
                read_secrets()
                self._delay("ensure_config_drive")
                self._change(guest, config_drive=True)

    def ensure_defined(self, spec: GuestSpec) -> None:
        """Define the guest, switched off; needs its disks."""
        with self._step("ensure_defined", spec.name):
            guest = self._guest_for(spec)
            _check_disks(guest)
            if guest.defined and guest.generation == spec.generation:
                return
            self._delay("ensure_defined")
            self._change(
                guest,
                project_id=spec.project_id,
                generation=spec.generation,
                state=guest.state if guest.defined else PowerState.SHUTDOWN,
            )

    def ensure_running(self, server_id: str) -> None:
        """Start, resume or restore the guest."""
        guest = self._defined(server_id)
        with self._step("ensure_running", guest.name):
            self._run(guest, "ensure_running")

    def ensure_stopped(self, server_id: str, graceful_timeout_s: float) -> None:
        """Switch the guest off; a deaf one is waited for first, a lost one is off."""
        if self.power_states().get(server_id) is PowerState.NOSTATE:
            return
        guest = self._defined(server_id)
        with self._step("ensure_stopped", guest.name):
            if guest.state is PowerState.SHUTDOWN:
                return
            self._delay("ensure_stopped")
            if guest.state is PowerState.RUNNING and self._deaf(guest):
                self._sleep(graceful_timeout_s)
            self._halt(guest, LifecycleEvent.STOPPED, PowerState.SHUTDOWN)

    def reboot_soft(self, server_id: str, timeout_s: float) -> bool:
        """Down and up again; a deaf guest is left running after the time."""
        guest = self._defined(server_id)
        with self._step("reboot_soft", guest.name):
            if guest.state is PowerState.RUNNING:
                if self._deaf(guest):
                    self._sleep(timeout_s)
                    return False
                self._halt(guest, LifecycleEvent.STOPPED, PowerState.SHUTDOWN)
            self._run(guest, "reboot_soft")
            return True

    def reboot_hard(self, spec: GuestSpec, read_secrets: ReadSecrets) -> None:
        """Cut off, define anew, start."""
        with self._step("reboot_hard", spec.name):
            guest = self._guest_for(spec)
            _check_disks(guest)
            if guest.state not in (PowerState.NOSTATE, PowerState.SHUTDOWN):
                self._halt(guest, LifecycleEvent.STOPPED, PowerState.SHUTDOWN)
            self._change(
                guest,
                project_id=spec.project_id,
                generation=spec.generation,
                state=PowerState.SHUTDOWN,
            )
            self._run(guest, "reboot_hard")

    def ensure_absent(self, server_id: str, disks: bool = True) -> None:
        """Forget the guest and, with ``disks``, its files."""
        guest = self.hypervisor.guests.get(server_id)
        with self._step("ensure_absent", guest.name if guest else ""):
            if guest is None:
                return
            self._delay("ensure_absent")
            with self._lock:
                was = guest.state
                if disks:
                    self.hypervisor.drop(server_id)
                else:
                    self._change(guest, state=PowerState.NOSTATE, project_id="")
            if was not in (PowerState.NOSTATE, PowerState.SHUTDOWN):
                self._tell(server_id, LifecycleEvent.STOPPED)

    def remove_unused(self, age_s: float) -> list[str]:
        """Images of no guest."""
        return self._images.remove_unused(age_s)

    # --- looking -----------------------------------------------------------------------------

    def power_state(self, server_id: str) -> PowerState:
        """The guest's state; NOSTATE when it is not defined here."""
        guest = self.hypervisor.guests.get(server_id)
        return guest.state if guest is not None else PowerState.NOSTATE

    def power_states(self) -> dict[str, PowerState]:
        """The state of each guest that was defined, by server id."""
        with self._lock:
            guests = self.hypervisor.guests.values()
            return {guest.server_id: guest.state for guest in guests if guest.known}

    def generation(self, server_id: str) -> int | None:
        """The generation that the guest was last defined with; None when there is no guest."""
        guest = self.hypervisor.guests.get(server_id)
        return guest.generation if guest is not None and guest.known else None

    def project_id(self, server_id: str) -> str | None:
        """The project of the guest; None when there is no guest."""
        guest = self.hypervisor.guests.get(server_id)
        return guest.project_id if guest is not None and guest.known else None

    def mark(self, server_id: str) -> Mark | None:
        """The mark in the guest's record, or that of its removal."""
        guest = self.hypervisor.guests.get(server_id)
        mark = guest.mark if guest is not None else None
        return newest(mark, self.hypervisor.removed.mark(server_id))

    def put_mark(self, server_id: str, mark: Mark) -> None:
        """Write the mark into the guest's record; nothing when there is none."""
        guest = self.hypervisor.guests.get(server_id)
        if guest is not None:
            self._change(guest, mark=mark)

    def remember_removed(self, server_id: str, project_id: str, mark: Mark) -> None:
        """Into a file beside the guests' records."""
        self.hypervisor.removed.add(server_id, project_id, mark)

    def removed(self) -> list[Removed]:
        """From that file."""
        return self.hypervisor.removed.all()

    def incarnation(self, server_id: str) -> str:
        """The number of the guest's starts."""
        guest = self.hypervisor.guests.get(server_id)
        running = guest is not None and guest.state is PowerState.RUNNING
        return str(guest.boots) if guest is not None and running else ""

    def console_log(self, server_id: str, bytes_max: int) -> bytes:
        """What a guest would have printed since its last start, made up from its record."""
        guest = self._defined(server_id)
        return console_text(guest, self.host)[-bytes_max:] if bytes_max > 0 else b""

    def resources(self) -> HostResources:
        """The resources it was made with, and how many guests run."""
        running = sum(state is PowerState.RUNNING for state in self.power_states().values())
        return msgspec.structs.replace(self._resources, running_vms=running)

    def listen(self, callback: LifecycleCallback) -> None:
        """Call back at each event, on the thread that caused it."""
        self._callbacks.append(callback)

    def close(self) -> None:
        """Stop calling back, and let go of the journal. Guests go on."""
        self._callbacks.clear()
        self.hypervisor.close()

    # --- what tests and the simulation do to a guest -----------------------------------------

    def guest_does(self, server_id: str, event: LifecycleEvent) -> None:
        """The guest (or an operator at the host) does this by itself; listeners hear of it."""
        guest = self._defined(server_id)
        if event in (LifecycleEvent.STARTED, LifecycleEvent.RESUMED):
            self._run(guest, "guest_does", event)
        else:
            self._halt(guest, event, _STATE_AFTER[event])

    def guest_crashes(self, server_id: str) -> None:
        """The guest's kernel panics: CRASHED, and listeners hear that it stopped."""
        self._halt(self._defined(server_id), LifecycleEvent.STOPPED, PowerState.CRASHED)

    def guest_is_lost(self, server_id: str) -> None:
        """An operator undefines the guest and destroys it: NOSTATE, its files stay."""
        self._halt(self._defined(server_id), LifecycleEvent.STOPPED, PowerState.NOSTATE)

    # --- within ------------------------------------------------------------------------------

    @contextmanager
    def _step(self, step: str, server_name: str) -> Iterator[None]:
        self._strike(step, server_name, "before")
        yield
        self._strike(step, server_name, "after")

    def _strike(self, step: str, server_name: str, when: str) -> None:
        if not self.faults:
            return
        with self._lock:
            fault = self.faults.due(step, server_name, "before" if when == "before" else "after")
        if fault is not None:
            raise fault.error

    def _delay(self, step: str) -> None:
        delay_s = self._delays.get(step, 0.0)
        if delay_s > 0:
            self._sleep(delay_s)

    def _deaf(self, guest: SimulatedGuest) -> bool:
        return bool(self._deaf_guests) and fnmatchcase(guest.name, self._deaf_guests)

    def _guest_for(self, spec: GuestSpec) -> SimulatedGuest:
        guest = self.hypervisor.guests.get(spec.server_id)
        if guest is not None:
            return guest
        return SimulatedGuest(
            server_id=spec.server_id,
            name=spec.name,
            hostname=spec.hostname,
            image_id=spec.image_id,
            ram_mib=spec.ram_mib,
            vcpus=spec.vcpus,
        )

    def _defined(self, server_id: str) -> SimulatedGuest:
        guest = self.hypervisor.guests.get(server_id)
        if guest is None or not guest.defined:
            raise GuestNotFound(f"Server {server_id} has no guest on {self.host}.")
        return guest

    def _change(self, guest: SimulatedGuest, **changes: object) -> None:
        """To the guest as it is now: another agent may have been here during a delay."""
        with self._lock:
            there = self.hypervisor.guests.get(guest.server_id)
            if there is None and guest.defined:
                raise GuestNotFound(f"Server {guest.server_id} has no guest on {self.host}.")
            guest = there or guest
            for name, value in changes.items():
                setattr(guest, name, value)
            self.hypervisor.put(guest)

    def _run(self, guest: SimulatedGuest, step: str, event: LifecycleEvent | None = None) -> None:
        if guest.state is PowerState.RUNNING:
            return
        self._delay(step)
        resumed = guest.state is PowerState.PAUSED
        boots = guest.boots + (guest.state in (PowerState.SHUTDOWN, PowerState.CRASHED))
        self._change(guest, state=PowerState.RUNNING, boots=boots)
        fallback = LifecycleEvent.RESUMED if resumed else LifecycleEvent.STARTED
        self._tell(guest.server_id, event or fallback)

    def _halt(self, guest: SimulatedGuest, event: LifecycleEvent, state: PowerState) -> None:
        self._change(guest, state=state)
        self._tell(guest.server_id, event)

    def _tell(self, server_id: str, event: LifecycleEvent) -> None:
        for callback in tuple(self._callbacks):
            callback(server_id, event)


_STATE_AFTER = {
    LifecycleEvent.STOPPED: PowerState.SHUTDOWN,
    LifecycleEvent.PAUSED: PowerState.PAUSED,
    LifecycleEvent.SUSPENDED: PowerState.SUSPENDED,
}


def _check_disks(guest: SimulatedGuest) -> None:
    if not guest.disks:
        raise DiskMissing(f"The root disk of server {guest.server_id} is not there.")
