"""One at a time: locks of a site's folder, held by a process and gone with it.

``alone`` is for the verbs that start and end processes: a second one waits, and then finds what
the first has done. ``hold`` is for the supervisor: a second one is told at once.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

WAIT_S = 300.0
TURN_S = 0.1


class Busy(Exception):
    """Another command works on the same site; the text is one sentence."""


@contextmanager
def alone(data: Path, say: Callable[[str], None], wait_s: float = WAIT_S) -> Iterator[None]:
    """Wait until no other command starts or ends this site's processes. Raises ``Busy``."""
    end, said = time.monotonic() + wait_s, False
    while (descriptor := hold(data, "commands")) is None:
        if not said:
            say(f"Another chronova command is at work in {data}: waiting for its end")
            said = True
        if time.monotonic() > end:
            raise Busy(f"another chronova command has been at work in {data} for {wait_s:.0f} s")
        time.sleep(TURN_S)
    try:
        yield
    finally:
        os.close(descriptor)


def hold(data: Path, name: str) -> int | None:
    """Take a lock of the folder. Returns its descriptor, which keeps it until it is closed in
    every process that inherited it, or None: it is taken."""
    path = data / "run" / f"{name}.lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):  # taken, or removed meanwhile by a reset
        pass
    os.close(descriptor)
    return None
