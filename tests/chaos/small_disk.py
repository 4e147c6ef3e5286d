"""A file system of its own with little room, where one can be mounted."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_ROOM_KEPT = {"CHRONOVA_IMAGE_ROOM_KEPT_MIB": "0"}
"""Settings of a site there: uploads would be refused before the disk is full."""


class NoSmallDisk(Exception):
    """None can be mounted here, and why."""


@contextmanager
def small_disk(size_mib: int) -> Iterator[Path]:
    """The folder where it is mounted, in memory. Raises ``NoSmallDisk``."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        raise NoSmallDisk("mounting a small file system needs root and mount(8)")
    folder = Path(tempfile.mkdtemp(prefix="chronova-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m,mode=711", "tmpfs", str(folder)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True, timeout=30)
    if done.returncode:
        folder.rmdir()
        raise NoSmallDisk(f"no small file system can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=30)
        folder.rmdir()
