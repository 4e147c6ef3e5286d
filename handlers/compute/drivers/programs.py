"""Outside programs that the disks need (qemu-img, mkfs, mkswap): run with a limit, errors named."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from handlers.compute.drivers.contract import DiskFull, DriverError

TIMEOUT_S = 1800


def run(
    command: Sequence[str],
    timeout_s: float = TIMEOUT_S,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Return the program's output; `environment` is added to this process's.

    Raises DiskFull or DriverError with its last complaint.
    """
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    program = shutil.which(command[0], path=path)
    if program is None:
        raise DriverError(f"The program {command[0]} is not installed on this host.")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
        )
    except subprocess.TimeoutExpired:
        raise DriverError(f"{command[0]} did not finish within {timeout_s:.0f} s.") from None
    if done.returncode == 0:
        return done.stdout
    complaint = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    if "No space left on device" in done.stderr:
        raise DiskFull(f"No space is left on this host's disk: {complaint}.")
    raise DriverError(f"{command[0]} failed: {complaint}.")
