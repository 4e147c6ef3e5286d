"""A guest's mark as a small file beside its disks (see ``handlers.performer.mark``).

The file is replaced whole and is on the disk before ``write`` returns, so a crash leaves the old
mark or the new one. It goes with the guest's folder.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import structlog

from handlers.compute.drivers.disk_errors import disk_errors_named, unreadable_named
from handlers.performer.mark import Mark

FILE = "chronova.mark"

logger = structlog.get_logger("agent")


def read(folder: Path) -> Mark | None:
    """The mark in a guest's folder; None when there is none, or one that somebody broke. Raises
    ``DriverError`` where the disk does not give it."""
    try:
        with unreadable_named(f"server {folder.name}"):
            content = (folder / FILE).read_bytes()
        return msgspec.json.decode(content, type=Mark)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        logger.error("mark_unreadable", folder=str(folder), reason=str(error))
        return None


def write(folder: Path, mark: Mark) -> None:
    """Keep the mark; nothing when the guest has no folder. Raises ``DiskFull``."""
    new = folder / f"{FILE}.new"
    with disk_errors_named(f"server {folder.name}"):
        try:
            out = new.open("wb")
        except FileNotFoundError:
            return
        with out:
            out.write(msgspec.json.encode(mark))
            out.flush()
            os.fsync(out.fileno())
        new.replace(folder / FILE)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
