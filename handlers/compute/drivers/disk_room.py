"""Room on a host's disk, promised to one file after another.

Several threads of an agent fetch and convert images at once. Each of them would find the same room
free, so what is promised to a file and not written yet counts as taken. Promises are this
process's: a host folder has one agent. A crash forgets them together with the work they were for.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from handlers.compute.drivers.contract import DiskFull, GuestSpec

ROOM_KEPT_BYTES = 256 << 20
"""Room that no image may take: a full disk stops more than one boot."""
BLOCK_BYTES = 512
"""The unit of ``st_blocks``."""


class _Promise(msgspec.Struct, frozen=True):
    path: Path
    size: int
    device: int

    def unwritten(self) -> int:
        """Bytes that the file will still take."""
        try:
            return max(0, self.size - self.path.stat().st_blocks * BLOCK_BYTES)
        except FileNotFoundError:
            return self.size


_promises: dict[int, _Promise] = {}
_lock = threading.Lock()


@contextmanager
def room_for(spec: GuestSpec, path: Path, size: int) -> Iterator[None]:
    """Have room for the file ``path`` of an image, which takes ``size`` bytes, until the block
    ends. Raises ``DiskFull`` when its file system has none, or has promised it to others."""
    promise = _Promise(path, size, path.parent.stat().st_dev)
    with _lock:
        others = [other for other in _promises.values() if other.device == promise.device]
        # Before looking at what is free: bytes that are written in between count twice, not never.
        promised = sum(other.unwritten() for other in others)
        free = shutil.disk_usage(path.parent).free
        if promise.unwritten() > free - promised - ROOM_KEPT_BYTES:
            raise DiskFull(
                f"No space is left on this host's disk for image {spec.image_id}: it takes "
                f"{size} bytes, {free} are free, {promised} of them are promised to other images "
                f"and {ROOM_KEPT_BYTES} are kept."
            )
        _promises[id(promise)] = promise
    try:
        yield
    finally:
        with _lock:
            del _promises[id(promise)]
