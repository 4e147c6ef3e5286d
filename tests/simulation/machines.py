"""The machines that outlive their processes: hypervisors with their guests, and what hurts them."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal

from api.image.store import NotStored
from events.log.contract import Record
from events.log.memory import Crash
from handlers.compute.drivers.contract import ImageUnavailable, PowerState
from handlers.compute.drivers.simulated import SimulatedDriver, simulated_resources
from handlers.compute.drivers.simulated_faults import Fault, FaultPlan
from handlers.compute.drivers.simulated_guests import SimulatedGuest, SimulatedHypervisor
from handlers.compute.image_fetch import Transfer
from handlers.compute.presence import Identity
from tests.parts.proofs import own_key
from tests.simulation.arrivals import Ended
from tests.simulation.process import RESTART_S, Process

if TYPE_CHECKING:
    from tests.simulation.world import World

IMAGES = {hashlib.sha512(content).hexdigest(): content for content in (b"one image", b"another")}

DEAF = "deaf"
"""Guests whose names begin so ignore ACPI."""


class Hypervisor(SimulatedHypervisor):
    """Guests of one machine; the world hears of each change."""

    def __init__(self, world: World, host: str) -> None:
        super().__init__()
        self._world = world
        self._host = host

    def put(self, guest: SimulatedGuest) -> None:
        super().put(guest)
        if guest.state is PowerState.RUNNING:
            self._world.observer.guest_runs(self._host, guest.server_id)

    def drop(self, server_id: str) -> None:
        guest = self.guests.get(server_id)
        if guest is not None and guest.disks:
            self._world.observer.guest_removed(self._host, server_id, guest.generation)
        super().drop(server_id)


class Forgetful:
    """``handlers.performer.bookmark.Keeper`` on a disk that loses it now and then."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = Random(world.seed)
        self._kept: bytes | None = None
        self._ended = Ended(world.codec)

    def load(self) -> bytes | None:
        if self._rng.random() < 0.1:
            self._world.note("FAULT", "a bookmark is lost")
            return None
        return self._kept

    def save(self, content: bytes) -> None:
        self._kept = content
        world = self._world
        if {"restored", "topics"} & set(world.faults.names):
            return  # what is not there any more cannot be looked at
        for piece in self._ended.unreported(content, self._work, world.observer.reported):
            world.complain("unreported", f"{piece} has ended by the bookmark")

    def _work(self, topic: str) -> list[Record]:
        return list(self._world.cluster.partition((topic, 0)).records)


class Kept:
    """A ``Keeper`` that loses nothing."""

    def __init__(self) -> None:
        self._content: bytes | None = None

    def load(self) -> bytes | None:
        return self._content

    def save(self, content: bytes) -> None:
        self._content = content


class Machine:
    """One compute host."""

    def __init__(self, world: World, host: str, vcpus: int, ram_mib: int, disk_gib: int) -> None:
        self.world = world
        self.host = host
        self.hypervisor = Hypervisor(world, host)
        self.resources = simulated_resources(host, vcpus, ram_mib, disk_gib)
        self.slow_s = 0.0
        self.slow_step = ""
        """The step that is slow; empty: each is."""
        self.was_slow = False
        self.off = False
        self.driver: SimulatedDriver | None = None
        self.keeper = Forgetful(world)
        self.witness = Kept()
        self.started_by_others: set[tuple[str, int]] = set()
        self.rebooted: Counter[tuple[object, ...]] = Counter()
        """Hard reboots by server and version of the order, since the machine lost its power."""
        self.holder: Process | None = None
        """Who may touch the guests: the newest agent. A real host's lock sees to that."""

    @property
    def identity(self) -> Identity:
        public = own_key(self.host).public
        return Identity(f"node-of-{self.host}", f"service-of-{self.host}", public)

    def new_driver(self, process: Process) -> SimulatedDriver:
        """What a starting agent makes; the guests are those that are there."""
        delays = {"ensure_image": 0.4, "ensure_disks": 0.1, "ensure_running": 0.2}
        driver = SimulatedDriver(
            self.host,
            self.resources,
            sleep=process.pause,
            delays=delays,
            deaf_guests=f"{DEAF}*",
            hypervisor=self.hypervisor,
        )
        driver.faults = Plan(self, process)
        self.driver, self.holder = driver, process
        return driver

    def look_for_a_second_reboot(self, server_name: str) -> None:
        """A reboot begins: the guest was not yet started for the same order."""
        for guest in self.hypervisor.guests.values():
            mark = guest.mark
            if guest.name != server_name or mark is None or mark.stage != "begun":
                continue
            asked = (guest.server_id, guest.boots) not in self.started_by_others
            if asked and guest.state is PowerState.RUNNING and str(guest.boots) != mark.before:
                self.world.complain(
                    "done twice", f"{mark.version} rebooted {server_name} before", guest.server_id
                )

    def count_reboots(self, server_name: str) -> None:
        """A hard reboot has taken place: once for each order, and marked before."""
        for guest in self.hypervisor.guests.values():
            if guest.name != server_name:
                continue
            mark = guest.mark
            if mark is None or mark.stage != "begun":
                self.world.complain(
                    "unmarked", f"{server_name} was rebooted without a mark", guest.server_id
                )
                return
            order = (guest.server_id, *mark.version)
            self.rebooted[order] += 1
            asked = (guest.server_id, guest.boots) not in self.started_by_others
            if self.rebooted[order] > 1 and asked:
                self.world.complain(
                    "done twice", f"{mark.version} rebooted {server_name} again", guest.server_id
                )

    def holds_guests(self) -> bool:
        """Whether there are guests that could run."""
        return any(guest.defined for guest in self.hypervisor.guests.values())

    def power_cut(self) -> None:
        """All guests are off, as after the machine's restart."""
        self.rebooted.clear()
        for guest in self.hypervisor.guests.values():
            if guest.defined:
                guest.state = PowerState.SHUTDOWN


class Plan(FaultPlan):
    """Asks the world at each step; a place where others go on."""

    def __init__(self, machine: Machine, process: Process) -> None:
        super().__init__()
        self._machine = machine
        self._process = process

    def __bool__(self) -> bool:
        return True

    def due(self, step: str, server_name: str, when: Literal["before", "after"]) -> Fault | None:
        process, machine = self._process, self._machine
        if when == "before" and machine.slow_s and machine.slow_step in ("", step):
            process.pause(machine.slow_s)
        else:
            process.world.kernel.give_way()
        if not process.alive:
            raise Crash(process.name)
        if machine.holder is not process:
            process.world.restart_later(process, RESTART_S)
            raise Crash(process.name)
        if when == "before" and step.startswith("reboot"):
            machine.look_for_a_second_reboot(server_name)
        if when == "after" and step == "reboot_hard":
            machine.count_reboots(server_name)
        process.world.note(machine.host, f"{step} {server_name} ({when})")
        return process.world.faults.on_step(process, step, when)


def fetch_for(process: Process, checksum: str, path: Path, transfer: Transfer) -> None:
    """``handlers.compute.image_fetch.Fetch`` once the process is bound."""
    try:
        content = IMAGES.get(checksum) or process.world.fetched(checksum)
    except NotStored as error:
        raise ImageUnavailable(str(error)) from error
    size = len(content)
    for quarter in range(4):
        process.pause(0.05)
        transfer.moved(size * quarter // 4, size)
    if process.world.faults.image_away(process):
        raise ImageUnavailable("The image service does not answer.")
    path.write_bytes(content)
