"""What only libvirt can do to its driver: go away, come back, hold domains of others."""

from __future__ import annotations

import contextlib
import io
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pycdlib
import pytest

from handlers.compute.drivers.contract import (
    Driver,
    DriverError,
    HypervisorUnavailable,
    LifecycleEvent,
    PowerState,
)
from handlers.compute.drivers.probe import WORD, boot_sector
from tests.handlers.compute.drivers.rigs import (
    ALL_GIVEN,
    BLANK,
    Heard,
    Image,
    LibvirtRig,
    bring_up,
    spec_for,
    until,
)

pytestmark = pytest.mark.usefixtures("libvirt_uri")
"""The fixture installs libvirt-python; what imports it is imported after that."""

DAEMON_SOCKET = "/run/libvirt/libvirt-sock"
PIECE = 65536


class Line:
    """The way to libvirtd, to be cut or frozen by the test: a forwarding Unix socket."""

    def __init__(self, path: Path) -> None:
        self.uri = f"qemu+unix:///system?socket={path}"
        self._flowing = threading.Event()
        self._flowing.set()
        self._ends: list[socket.socket] = []
        self._carriers: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def cut(self) -> None:
        for end in self._ends:
            _shut(end)

    def freeze(self) -> None:
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    def close(self) -> None:
        _shut(self._listener)
        self._accepting.join(10)
        self.thaw()
        self.cut()
        for carrier in self._carriers:
            carrier.join(10)
        for end in [*self._ends, self._listener]:
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed
            far = socket.socket(socket.AF_UNIX)
            far.connect(DAEMON_SOCKET)
            self._ends += [near, far]
            for ends in ((near, far), (far, near)):
                carrier = threading.Thread(target=self._carry, args=ends, daemon=True)
                self._carriers.append(carrier)
                carrier.start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while piece := source.recv(PIECE):
                self._flowing.wait(120)
                target.sendall(piece)
        except OSError:
            return  # cut
        finally:
            _shut(source)
            _shut(target)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is shut already
        end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line(libvirt_rig: LibvirtRig) -> Iterator[Line]:
    line = Line(libvirt_rig.folder / "line.sock")
    yield line
    line.close()


@pytest.fixture
def far_driver(libvirt_rig: LibvirtRig, line: Line) -> Iterator[Driver]:
    """A driver that reaches libvirtd over the line."""
    from handlers.compute.drivers.libvirt_driver import LibvirtDriver

    driver = LibvirtDriver(libvirt_rig.host, libvirt_rig.folder, line.uri, "qemu")
    yield driver
    driver.close()


def virsh(uri: str, *arguments: str) -> str:
    command = ["virsh", "-q", "-c", uri, *arguments]
    done = subprocess.run(command, check=True, timeout=30, stdout=subprocess.PIPE, text=True)
    return done.stdout


def test_after_a_lost_connection_calls_and_events_go_on(
    libvirt_rig: LibvirtRig, far_driver: Driver, line: Line, libvirt_uri: str
) -> None:
    image, heard = Image(BLANK), Heard()
    spec = spec_for(image)
    far_driver.listen(heard)
    bring_up(far_driver, spec, image)
    heard.wait_for(spec.server_id, LifecycleEvent.STARTED)
    line.cut()
    # Nobody calls the driver: it comes back by itself, and tells how things are.
    heard.wait_for(spec.server_id, LifecycleEvent.STARTED)
    virsh(libvirt_uri, "destroy", spec.server_id)
    heard.wait_for(spec.server_id, LifecycleEvent.STOPPED)
    line.cut()
    for _ in range(3):
        try:
            assert far_driver.power_state(spec.server_id) is PowerState.SHUTDOWN
            break
        except HypervisorUnavailable:
            continue  # the call that found the connection lost; the next one opens another
    else:
        pytest.fail("the driver did not reconnect")


def test_a_silent_libvirtd_does_not_hold_a_call_for_ever(
    far_driver: Driver, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "handlers.compute.drivers.libvirt_connection"
    monkeypatch.setattr(f"{module}.KEEPALIVE_INTERVAL_S", 1)
    monkeypatch.setattr(f"{module}.KEEPALIVE_COUNT", 1)
    monkeypatch.setattr(f"{module}.OPEN_TIMEOUT_S", 2)
    assert far_driver.power_states() == {}
    line.freeze()
    for _ in range(2):  # first the open connection, then the opening of another
        with pytest.raises(HypervisorUnavailable):
            far_driver.power_states()
    line.thaw()
    line.cut()
    answered = threading.Event()
    for _ in range(10):
        try:
            assert far_driver.power_states() == {}
            answered.set()
            break
        except HypervisorUnavailable:
            continue
    assert answered.is_set()


def test_no_libvirtd_there(guest_folder: Path) -> None:
    from handlers.compute.drivers.libvirt_driver import LibvirtDriver

    uri = f"qemu+unix:///system?socket={guest_folder}/none"
    driver = LibvirtDriver("host-1", guest_folder, uri, "qemu")
    with pytest.raises(HypervisorUnavailable, match=r"does not answer: .*\.$"):
        driver.power_states()
    driver.close()
    with pytest.raises(HypervisorUnavailable, match="is closed"):
        driver.power_states()


def test_domains_of_others_are_left_alone(libvirt_rig: LibvirtRig, libvirt_uri: str) -> None:
    stranger = str(uuid.uuid4())
    path = libvirt_rig.folder / "stranger.xml"
    path.write_text(
        f"<domain type='qemu'><name>chronova-test-{stranger}</name><uuid>{stranger}</uuid>"
        "<memory unit='MiB'>32</memory><os><type>hvm</type></os></domain>"
    )
    virsh(libvirt_uri, "define", str(path))
    try:
        driver, image = libvirt_rig.new_driver(), Image(BLANK)
        spec = spec_for(image, server_id=stranger)
        assert stranger not in driver.power_states()
        assert driver.power_state(stranger) is PowerState.NOSTATE
        driver.ensure_image(spec, image.fetch)
        driver.ensure_disks(spec)
        with pytest.raises(DriverError, match="not Chronova's"):
            driver.ensure_defined(spec)
        driver.ensure_absent(stranger)
        assert stranger in virsh(libvirt_uri, "list", "--all", "--uuid").split()
    finally:
        virsh(libvirt_uri, "undefine", stranger)


def test_guests_of_another_host_on_the_same_libvirtd(
    libvirt_rig: LibvirtRig, libvirt_uri: str
) -> None:
    from handlers.compute.drivers.libvirt_driver import LibvirtDriver

    driver, image = libvirt_rig.new_driver(), Image(BLANK)
    spec = spec_for(image)
    bring_up(driver, spec, image)
    other = LibvirtDriver(f"{libvirt_rig.host}-2", libvirt_rig.folder / "two", libvirt_uri, "qemu")
    assert other.power_states() == {}
    assert other.generation(spec.server_id) is None
    other.ensure_absent(spec.server_id)
    assert driver.power_state(spec.server_id) is PowerState.RUNNING
    other.close()


def test_a_dead_qemu_is_a_crashed_guest(libvirt_rig: LibvirtRig) -> None:
    driver, image, heard = libvirt_rig.new_driver(), Image(BLANK), Heard()
    spec = spec_for(image)
    bring_up(driver, spec, image)
    driver.listen(heard)
    pid = int(Path(f"/run/libvirt/qemu/instance-{spec.server_id}.pid").read_text())
    subprocess.run(["kill", "-9", str(pid)], check=True, timeout=10)
    heard.wait_for(spec.server_id, LifecycleEvent.STOPPED)
    assert driver.power_state(spec.server_id) is PowerState.CRASHED
    driver.ensure_running(spec.server_id)
    assert driver.power_state(spec.server_id) is PowerState.RUNNING


def test_a_running_guest_that_was_undefined(libvirt_rig: LibvirtRig, libvirt_uri: str) -> None:
    image = Image(BLANK)
    spec = spec_for(image)
    bring_up(libvirt_rig.new_driver(), spec, image)
    driver = libvirt_rig.new_driver()
    virsh(libvirt_uri, "undefine", spec.server_id)
    assert driver.power_states() == {spec.server_id: PowerState.RUNNING}
    assert driver.generation(spec.server_id) == spec.generation
    driver.ensure_defined(spec)
    virsh(libvirt_uri, "destroy", spec.server_id)
    assert driver.power_states() == {spec.server_id: PowerState.SHUTDOWN}
    driver.ensure_running(spec.server_id)
    virsh(libvirt_uri, "undefine", spec.server_id)
    driver.ensure_stopped(spec.server_id, 0.5)
    assert driver.power_states() == {spec.server_id: PowerState.NOSTATE}
    driver.reboot_hard(spec, ALL_GIVEN)
    virsh(libvirt_uri, "undefine", spec.server_id)
    driver.reboot_hard(spec, ALL_GIVEN)
    virsh(libvirt_uri, "destroy", spec.server_id)
    assert driver.power_states() == {spec.server_id: PowerState.SHUTDOWN}


def test_an_id_that_is_no_uuid_touches_no_file(libvirt_rig: LibvirtRig) -> None:
    with pytest.raises(DriverError, match="is not a server's id"):
        libvirt_rig.new_driver().ensure_absent("../../etc")


def test_an_iso_image_boots(libvirt_rig: LibvirtRig) -> None:
    path = libvirt_rig.folder / "boot.iso"
    iso = pycdlib.PyCdlib()
    iso.new()
    sector = boot_sector().ljust(2048, b"\0")
    iso.add_fp(io.BytesIO(sector), len(sector), "/BOOT.;1")
    iso.add_eltorito("/BOOT.;1", bootcatfile="/BOOT.CAT;1", boot_load_size=4)
    iso.write(str(path))
    iso.close()
    driver, image = libvirt_rig.new_driver(), Image(path, "iso")
    spec = spec_for(image, config_drive=True)
    bring_up(driver, spec, image)
    until(lambda: WORD in driver.console_log(spec.server_id, 1000), 60, "the ISO's own code")
    driver.reboot_hard(spec, ALL_GIVEN)
    until(lambda: WORD in driver.console_log(spec.server_id, 1000), 60, "the same again")


def test_a_missing_disk_is_named(libvirt_rig: LibvirtRig) -> None:
    driver, image = libvirt_rig.new_driver(), Image(BLANK)
    with pytest.raises(DriverError, match=r"root disk of server .* is not there"):
        driver.ensure_defined(spec_for(image))
