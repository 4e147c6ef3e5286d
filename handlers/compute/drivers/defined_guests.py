"""A mark beside a guest's disks that it was defined here: so one that libvirt lost is missed.

Written before the domain is defined, and removed with it. It says what the domain's own
metadata says (see `domain_xml`), which is gone when an operator undefines the domain.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from handlers.compute.drivers.disk_errors import unreadable_named
from handlers.compute.drivers.disks import written_whole
from handlers.compute.drivers.domain_xml import Ownership

FILE_NAME = "guest.json"


def write_mark(folder: Path, owner: Ownership) -> None:
    """Mark the guest of `folder` as defined by this owner."""
    if read_mark(folder) == owner:
        return
    with written_whole(folder / FILE_NAME) as part:
        part.write_bytes(msgspec.json.encode(owner))


def read_mark(folder: Path) -> Ownership | None:
    """What was written; None where there is no mark, or one that somebody broke. Raises
    ``DriverError`` where the disk does not give it."""
    try:
        with unreadable_named(f"server {folder.name}"):
            content = (folder / FILE_NAME).read_bytes()
        return msgspec.json.decode(content, type=Ownership)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def remove_mark(folder: Path) -> None:
    """Remove the mark of a guest that is no longer to be here, whatever becomes of its disks."""
    (folder / FILE_NAME).unlink(missing_ok=True)


def marked(instances_dir: Path) -> list[str]:
    """The ids of all servers whose guests should be here. Raises ``DriverError``."""
    with unreadable_named("the guests of this host"):
        marks = list(instances_dir.glob(f"*/{FILE_NAME}"))
    return sorted(mark.parent.name for mark in marks if not mark.parent.name.endswith("_del"))
