"""What a host does for a start or a reboot when something of the guest is gone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from commands.compute.guest import guest_of
from commands.compute.power import ReportGuestStarted, StartGuest
from commands.compute.reboot import RebootGuest, ReportGuestRebooted
from events.compute.server import ImageSnapshot
from events.message import Command
from handlers.compute.drivers.contract import DiskMissing, PowerState
from handlers.compute.drivers.simulated import SimulatedDriver
from handlers.compute.image_fetch import ImageFetches, Transfer
from handlers.compute.performing import PERFORMANCES, GuestTask, spec_of
from tests.commands.compute.servers import P, S, compute, created, selected

DATA = b"a kernel"
IMAGE = ImageSnapshot(
    image_id="image",
    name="demo",
    checksum=hashlib.sha512(DATA).hexdigest(),
    size_bytes=len(DATA),
    disk_format="raw",
)
GUEST = guest_of(compute(created(image=IMAGE), selected()).state("server", S))
START = StartGuest(server_id=S, project_id=P, generation=1, operation=2, guest=GUEST)
REBOOT = RebootGuest(
    server_id=S, project_id=P, generation=1, operation=2, hard=False, timeout_s=5, guest=GUEST
)
HARD_REBOOT = RebootGuest(
    server_id=S, project_id=P, generation=1, operation=2, hard=True, timeout_s=5, guest=GUEST
)


def fetch(checksum: str, path: Path, transfer: Transfer | None = None) -> None:
    assert checksum == IMAGE.checksum
    path.write_bytes(DATA)


class Reported:
    """A task that nobody calls off; it keeps what is reported."""

    host = "host-1"

    def __init__(self) -> None:
        self.reports: list[Command] = []

    def report(self, report: Command) -> None:
        self.reports.append(report)

    def progress(self, report: Callable[[], Command]) -> None:
        self.reports.append(report())

    def happened(self) -> bool:
        return False

    def proceed(self) -> None:
        return None

    def pause(self, seconds: float) -> None:
        return None

    def on_called_off(self, callback: Callable[[], None]) -> None:
        return None


def built() -> SimulatedDriver:
    driver, spec = SimulatedDriver("host-1"), spec_of(GUEST)
    driver.ensure_image(spec, lambda _, path: fetch(IMAGE.checksum, path))
    driver.ensure_disks(spec)
    driver.ensure_defined(spec)
    driver.ensure_running(S)
    return driver


def perform(work: StartGuest | RebootGuest, driver: SimulatedDriver) -> list[type[Command]]:
    task = Reported()
    guest_task = GuestTask(work, task, driver, ImageFetches(fetch))
    return [type(PERFORMANCES[work.type_name].perform(work, guest_task))]


@pytest.mark.parametrize(
    ("work", "report"),
    [
        (START, ReportGuestStarted),
        (REBOOT, ReportGuestRebooted),
        (HARD_REBOOT, ReportGuestRebooted),
    ],
)
def test_an_image_that_the_host_lost_is_fetched_again(
    work: StartGuest | RebootGuest, report: type[Command]
) -> None:
    driver = built()
    driver.ensure_stopped(S, 0)
    driver.hypervisor.images.clear()
    assert perform(work, driver)[-1] is report
    assert list(driver.hypervisor.images) == ["image"]
    assert driver.power_state(S) is PowerState.RUNNING


@pytest.mark.parametrize("work", [START, REBOOT, HARD_REBOOT])
def test_a_disk_that_the_host_lost_is_not_made_again(work: StartGuest | RebootGuest) -> None:
    driver = built()
    driver.hypervisor.guests[S].disks = False
    with pytest.raises(DiskMissing):
        perform(work, driver)
    assert driver.hypervisor.guests[S].disks is False
    assert driver.power_state(S) is PowerState.RUNNING
