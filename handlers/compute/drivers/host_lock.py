"""One process serves a host at a time, whatever the log says: two would undo each other's work.

The log fences the reports of an agent that was replaced, but not what it does to the hypervisor.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from handlers.compute.drivers.contract import DriverError


def lock_host(path: Path, host: str) -> int:
    """Hold the lock file for as long as the descriptor returned is open, at most as long as the
    process lives. Raises ``DriverError`` when another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DriverError(f"Another process serves the host {host} ({path} is locked).") from None
    return descriptor
