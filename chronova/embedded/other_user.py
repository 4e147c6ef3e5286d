"""Running a program as another user: Postgres refuses to run as root.

No folder is opened for that user. Where it may not pass a folder above what it needs (root's own
home is closed, say), its program is given the one capability to pass and read, and nothing else.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

READS_ALL = {"dac_read_search": 2, "dac_override": 1}
"""Capabilities that pass closed folders, by the number of their bit; the smaller one first."""


class CannotPass(Exception):
    """The user may not reach a path; the text says which folder keeps it out."""


class OtherUser:
    """A user that a program runs as, and what it must be able to reach."""

    def __init__(self, owner: pwd.struct_passwd, needs: Iterable[Path]) -> None:
        self._owner = owner
        self._needs = tuple(needs)

    def command(self, command: list[str]) -> list[str]:
        """The command line that runs ``command`` as the user. Raises ``CannotPass``."""
        if os.geteuid() != 0:
            return command
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise CannotPass("the program setpriv (of util-linux) is not installed")
        closed = next(self.closed(), None)
        given = "-all" if closed is None else f"-all,+{_capability(closed, self._owner.pw_name)}"
        return [
            setpriv,
            f"--reuid={self._owner.pw_uid}",
            f"--regid={self._owner.pw_gid}",
            "--clear-groups",
            f"--inh-caps={given}",
            f"--ambient-caps={given}",
            "--",
            *command,
        ]

    def closed(self) -> Iterator[Path]:
        """The folders above what it needs that the user may not pass."""
        seen = dict.fromkeys(above for path in self._needs for above in path.resolve().parents)
        return (folder for folder in seen if not _passes(folder, self._owner))


def _passes(folder: Path, user: pwd.struct_passwd) -> bool:
    found = folder.stat()
    if found.st_uid == user.pw_uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == user.pw_gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def _capability(closed: Path, user: str) -> str:
    status = Path("/proc/self/status").read_text()
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    for name, bit in READS_ALL.items():
        if effective >> bit & 1:
            return name
    raise CannotPass(
        f"the user {user}, as whom Postgres runs, may not pass {closed}: take a data folder that"
        " it can reach (DATA=/var/lib/chronova, say)"
    )


def owner_of(directory: Path) -> pwd.struct_passwd:
    """Whom a server over ``directory`` runs as: never root, always the same one. Raises
    ``CannotPass`` where no such user can be had."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    try:
        if (owner := directory.stat().st_uid) != 0:
            return pwd.getpwuid(owner)
    except (KeyError, FileNotFoundError):
        pass  # no data yet, or of a user that this machine does not have: it gets one it has
    for name in ("postgres", "chronova"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    try:
        subprocess.run([*command, "chronova"], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotPass(f"no user could be made for Postgres, which refuses root: {error}") from (
            error
        )
    return pwd.getpwnam("chronova")
