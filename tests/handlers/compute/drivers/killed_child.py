"""A process that boots a guest and kills itself (-9) at its n-th call within the drivers.

Arguments: n, the file with the spec, the image's file, then the rig's own (see `rigs`).
Ends with 0 when the boot was over before the n-th call.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType

import msgspec

from handlers.compute.drivers.contract import Driver, GuestSpec
from handlers.compute.drivers.simulated import SimulatedDriver
from tests.handlers.compute.drivers.rigs import ALL_GIVEN


def driver_for(kind: str, *arguments: str) -> Driver:
    if kind == "simulated":
        return SimulatedDriver("host-1", state_path=Path(arguments[0]))
    from handlers.compute.drivers.libvirt_driver import LibvirtDriver

    return LibvirtDriver(arguments[2], Path(arguments[0]), arguments[1], "qemu")


def main() -> None:
    die_at, calls = int(sys.argv[1]), 0
    spec = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=GuestSpec)
    driver = driver_for(*sys.argv[4:])

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        if event in ("call", "c_call") and "/compute/drivers/" in frame.f_code.co_filename:
            calls += 1
            if calls == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def fetch(_image_id: str, path: Path) -> None:
        shutil.copyfile(sys.argv[3], path)

    sys.setprofile(count)
    driver.ensure_image(spec, fetch)
    driver.ensure_disks(spec)
    driver.ensure_config_drive(spec, ALL_GIVEN)
    driver.ensure_defined(spec)
    driver.ensure_running(spec.server_id)
    sys.setprofile(None)
    driver.close()
    print(calls)


if __name__ == "__main__":
    main()
