"""A host for the contract suite: one for each driver, with what only the outside can do to it."""

from __future__ import annotations

import base64
import hashlib
import queue
import shutil
import subprocess
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from chronova.demo_image import DemoImage
from handlers.compute.drivers.contract import (
    Driver,
    GuestSecrets,
    GuestSpec,
    LifecycleEvent,
    PublicKey,
    ReadSecrets,
)
from handlers.compute.drivers.simulated import SimulatedDriver

MIB = 1 << 20
# Not bootable: the firmware says so and waits. It costs no time, and it is deaf to ACPI.
BLANK = bytes(MIB)


class Image:
    """Data under an image id, and how often it was fetched."""

    def __init__(self, source: bytes | Path, disk_format: str = "raw") -> None:
        self.image_id = str(uuid.uuid4())
        self.disk_format = disk_format
        self._source = source
        self.fetches = 0
        if isinstance(source, Path):
            with source.open("rb") as stream:
                self.sha512 = hashlib.file_digest(stream, "sha512").hexdigest()
            self.size_bytes = source.stat().st_size
        else:
            self.sha512 = hashlib.sha512(source).hexdigest()
            self.size_bytes = len(source)

    def fetch(self, image_id: str, path: Path) -> None:
        assert image_id == self.image_id
        self.fetches += 1
        if isinstance(self._source, Path):
            shutil.copyfile(self._source, path)
        else:
            path.write_bytes(self._source)

    def fetch_corrupt(self, image_id: str, path: Path) -> None:
        self.fetch(image_id, path)
        with path.open("r+b") as stream:
            stream.seek(self.size_bytes // 2)
            stream.write(b"bit rot")


def spec_for(image: Image, name: str = "vm1", **changes: Any) -> GuestSpec:
    """A small server booting that image."""
    values: dict[str, Any] = {
        "server_id": str(uuid.uuid4()),
        "name": name,
        "hostname": name,
        "project_id": "9f2b0e2f9d3a4a39a2a1a53a1f0c0c11",
        "user_id": "0c3de1f8d5f14d0ab5ecb4a3b8d1f7aa",
        "generation": 1,
        "vcpus": 1,
        "ram_mib": 128,
        "root_gib": 1,
        "flavor_name": "m1.tiny",
        "image_id": image.image_id,
        "image_checksum": image.sha512,
        "image_size_bytes": image.size_bytes,
        "image_disk_format": image.disk_format,
        "created_at": 1_700_000_000_000_000,
    }
    return GuestSpec(**(values | changes))


def full_spec(image: Image) -> GuestSpec:
    """A server with all that a guest can be given."""
    return spec_for(
        image,
        name="full",
        ephemeral_gib=1,
        swap_mib=16,
        config_drive=True,
        metadata={"role": "web"},
        public_keys=[PublicKey(name="laptop", type="ssh", public_key="ssh-ed25519 AAAA me")],
    )


def given(user_data: bytes, admin_password: str | None = None) -> ReadSecrets:
    """What the API would give."""
    text = base64.b64encode(user_data).decode()
    return lambda: GuestSecrets(user_data=text, admin_password=admin_password)


ALL_GIVEN = given(b"#!/bin/sh\necho from user_data\n", "correct horse")
HALTING = given(b"#!/bin/sh\npoweroff -f\n")


def until(condition: Callable[[], bool], limit_s: float, what: str) -> None:
    """Wait for a condition, with a limit."""
    pause, waited_s = threading.Event(), 0.0
    while not condition():
        assert waited_s < limit_s, f"not within {limit_s} s: {what}"
        pause.wait(0.05)
        waited_s += 0.05


class Heard:
    """Lifecycle events, as a listener gets them."""

    def __init__(self) -> None:
        self.queue: queue.Queue[tuple[str, LifecycleEvent]] = queue.Queue()

    def __call__(self, server_id: str, event: LifecycleEvent) -> None:
        self.queue.put((server_id, event))

    def wait_for(self, server_id: str, event: LifecycleEvent, limit_s: float = 30) -> None:
        while self.queue.get(timeout=limit_s) != (server_id, event):
            pass


class Rig(Protocol):
    """A host under test. `new_driver` is what a restarted agent has: nothing but the host."""

    host: str
    boot_image: Image

    def new_driver(self) -> Driver: ...

    def make_guest_halt(self, driver: Driver, spec: GuestSpec) -> None: ...

    def pause(self, driver: Driver, server_id: str) -> None: ...

    def too_big_image(self) -> Image: ...

    def lose_guest(self, driver: Driver, server_id: str) -> None: ...

    def lose_bases(self, driver: Driver, image: Image) -> None: ...

    def lose_disk(self, driver: Driver, server_id: str, file_name: str) -> None: ...

    def leftovers(self, server_id: str) -> list[Path]: ...

    def child_arguments(self) -> list[str]: ...


class SimulatedRig:
    def __init__(self, folder: Path) -> None:
        self.host = "host-1"
        self.boot_image = Image(b"a kernel, if you believe it" * 1000)
        self._state = folder / "host.jsonl"
        self._driver: SimulatedDriver | None = None

    def new_driver(self) -> SimulatedDriver:
        if self._driver is not None:
            self._driver.close()
        self._driver = SimulatedDriver(
            self.host, state_path=self._state, sleep=_no_sleep, deaf_guests="deaf*"
        )
        return self._driver

    def make_guest_halt(self, driver: Driver, spec: GuestSpec) -> None:
        assert isinstance(driver, SimulatedDriver)
        driver.guest_does(spec.server_id, LifecycleEvent.STOPPED)

    def pause(self, driver: Driver, server_id: str) -> None:
        assert isinstance(driver, SimulatedDriver)
        driver.guest_does(server_id, LifecycleEvent.PAUSED)

    def too_big_image(self) -> Image:
        image = Image(BLANK)
        image.size_bytes = 2 << 30
        return image

    def lose_guest(self, driver: Driver, server_id: str) -> None:
        assert isinstance(driver, SimulatedDriver)
        driver.guest_is_lost(server_id)

    def lose_bases(self, driver: Driver, image: Image) -> None:
        assert isinstance(driver, SimulatedDriver)
        del driver.hypervisor.images[image.image_id]

    def lose_disk(self, driver: Driver, server_id: str, file_name: str) -> None:
        assert isinstance(driver, SimulatedDriver)
        driver.hypervisor.guests[server_id].disks = False

    def leftovers(self, server_id: str) -> list[Path]:
        return [self._state] if server_id in self.new_driver().hypervisor.guests else []

    def child_arguments(self) -> list[str]:
        if self._driver is not None:
            self._driver.close()
        return ["simulated", str(self._state)]

    def close(self) -> None:
        if self._driver is not None:
            self._driver.close()


class LibvirtRig:
    def __init__(self, folder: Path, uri: str, demo: DemoImage) -> None:
        # Of its own: the machine's libvirtd may serve several test runs at once.
        self.host = f"host-{uuid.uuid4()}"
        self.boot_image = Image(demo.path)
        self.folder = folder
        self._uri = uri
        self._drivers: list[Driver] = []

    def new_driver(self) -> Driver:
        from handlers.compute.drivers.libvirt_driver import LibvirtDriver

        driver = LibvirtDriver(self.host, self.folder, self._uri, "qemu")
        self._drivers.append(driver)
        return driver

    def make_guest_halt(self, driver: Driver, spec: GuestSpec) -> None:
        """Nothing to do: its user_data has it power itself off (see `HALTING`)."""

    def pause(self, driver: Driver, server_id: str) -> None:
        self._virsh("suspend", server_id)

    def too_big_image(self) -> Image:
        path = self.folder / "big.qcow2"
        command = ["qemu-img", "create", "-q", "-f", "qcow2", str(path), "2G"]
        subprocess.run(command, check=True, timeout=60)
        return Image(path, "qcow2")

    def lose_guest(self, driver: Driver, server_id: str) -> None:
        self._virsh("undefine", server_id)
        self._virsh("destroy", server_id)

    def lose_bases(self, driver: Driver, image: Image) -> None:
        for path in (self.folder / "_base").iterdir():
            path.unlink()

    def lose_disk(self, driver: Driver, server_id: str, file_name: str) -> None:
        path = self.folder / server_id / file_name
        path.rename(path.with_name(f"{file_name}.away"))

    def leftovers(self, server_id: str) -> list[Path]:
        return sorted(self.folder.glob(f"{server_id}*"))

    def child_arguments(self) -> list[str]:
        return ["libvirt", str(self.folder), self._uri, self.host]

    def close(self) -> None:
        driver = self.new_driver()
        for server_id in driver.power_states():
            driver.ensure_absent(server_id)
        for driver in self._drivers:
            driver.close()

    def _virsh(self, *arguments: str) -> None:
        subprocess.run(
            ["virsh", "-q", "-c", self._uri, *arguments],
            check=True,
            timeout=30,
            stdout=subprocess.DEVNULL,
        )


def halting_spec(image: Image) -> GuestSpec:
    """A guest that powers itself off when it has booted."""
    return spec_for(image, config_drive=True)


def bring_up(
    driver: Driver, spec: GuestSpec, image: Image, read_secrets: ReadSecrets = ALL_GIVEN
) -> None:
    """All steps of a boot, in order."""
    driver.ensure_image(spec, image.fetch)
    driver.ensure_disks(spec)
    driver.ensure_config_drive(spec, read_secrets)
    driver.ensure_defined(spec)
    driver.ensure_running(spec.server_id)


def _no_sleep(_seconds: float) -> None:
    return None
