"""Ending processes that may not be our children."""

from __future__ import annotations

import signal
import time
from contextlib import suppress

import psutil

KILLED_S, TURN_S = 5.0, 0.02


def end(process: psutil.Process, grace_s: float) -> None:
    """End one process: politely, then after ``grace_s`` for good. A zombie, which its parent (or
    a container's first process) does not care for, has ended."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGTERM)
        if not _ended(process, grace_s):
            process.kill()
            _ended(process, KILLED_S)


def lives(process: psutil.Process) -> bool:
    """Whether it runs, or could."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _ended(process: psutil.Process, limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while lives(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(TURN_S)
    return True
