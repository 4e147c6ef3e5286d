"""Local users are strangers: what a site keeps is its own user's, and nobody else's.

Every process makes files for its owner only. Two others must reach a part of the data folder, and
may pass (never list or read) what lies above it: the user that the embedded Postgres runs as under
root, and QEMU's, where libvirt runs guests. Nothing above the data folder is touched.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chronova.embedded.addresses import EMBEDDED, postgres_folder
from chronova.embedded.other_user import owner_of
from chronova.settings import Settings

CLOSED = 0o077
"""The umask of every process."""

DISKS = 0o066
"""That of a libvirt host's agent: QEMU's user passes the folders of the disks it is given."""

QEMU_USERS = ("libvirt-qemu", "qemu")


def close() -> None:
    """Make what this process makes from now on its owner's only."""
    os.umask(CLOSED)


@contextmanager
def usual() -> Iterator[None]:
    """Meanwhile make files as most programs do: what goes into a guest's image is the guest's."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def begin(settings: Settings, role: str) -> None:
    """The same for a role's process; an agent with libvirt lets QEMU pass to the disks."""
    close()
    if role == "agent" and settings.driver == "libvirt":
        instances = settings.data_path / "instances"
        instances.mkdir(parents=True, exist_ok=True)
        _let_pass(instances, _qemu_group())
        os.umask(DISKS)


def close_folder(settings: Settings) -> None:
    """Close the site's folder to all who need not pass it."""
    data = settings.data_path
    if settings.driver == "libvirt":
        data.chmod(0o711)
    elif os.geteuid() == 0 and settings.database == EMBEDDED:
        _let_pass(data, owner_of(postgres_folder(data)).pw_gid)
    else:
        data.chmod(0o700)


def _let_pass(folder: Path, group: int | None) -> None:
    """Only members of ``group`` pass; where it is unknown or cannot be given, everybody does."""
    if group is None or os.geteuid() != 0:
        folder.chmod(0o711)
        return
    os.chown(folder, -1, group)
    folder.chmod(0o710)


def _qemu_group() -> int | None:
    for name in QEMU_USERS:
        try:
            return pwd.getpwnam(name).pw_gid
        except KeyError:
            continue
    return None
