"""A backup of a site on one machine: a data folder that can be brought up as it is.

A site with its log in the embedded Postgres is copied while it runs (pg_basebackup, one moment of
everything). A broker's files are of one moment only while it does not run: such a site is to be
down. Left out is what is made again: snapshots, figures, logs; and disks of real guests.

Servers' secrets are copied before and after the database, so that no server which the copy's log
knows lacks its own. What the copy has too much, its first sweep removes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from api.services import ApiSettings
from chronova import exclusive
from chronova.embedded import broker
from chronova.embedded.addresses import EMBEDDED, broker_folder, postgres_folder
from chronova.embedded.postgres import EmbeddedPostgres, PostgresFailed, binaries
from chronova.settings import Settings, SettingsError

LEFT_OUT = ("run", "logs", "metrics", "snapshots")
GONE = "No such file or directory"
COPY_S = 24 * 3600.0

Say = Callable[[str], None]


def backup(settings: Settings, target: Path, say: Say) -> None:
    """Copy the site to the new folder ``target``. Raises ``SettingsError`` where that cannot be,
    ``PostgresFailed``, ``OSError``."""
    data = settings.data_path
    if target.exists() or target.resolve().is_relative_to(data):
        raise SettingsError(f"{target} is there already, or in the site's own folder")
    with exclusive.alone(data, say):
        if settings.log == EMBEDDED and broker.running(broker_folder(data)) is not None:
            raise SettingsError("the site's broker runs: `chronova down` first, then the backup")
        target.mkdir(mode=0o700, parents=True)
        for path in sorted(data.iterdir()):
            if path.name not in _left_out(settings):
                _copy(path, target / path.name)
        if settings.database == EMBEDDED:
            _copy_postgres(data, target)
            _copy_secrets(settings, target)
    for name, value in (("log", settings.log), ("database", settings.database)):
        if value not in ("", EMBEDDED):
            say(f"The {name} is no part of the folder, and not of this backup")
    say(f"The site is in {target}")


def _left_out(settings: Settings) -> set[str]:
    guests = {"instances"} if settings.driver == "libvirt" else set()
    return {*LEFT_OUT, postgres_folder(settings.data_path).name, *guests}


def _copy_secrets(settings: Settings, target: Path) -> None:
    source = ApiSettings(data_path=settings.data_path).secrets_path
    if source.exists():
        copy = target / source.name
        copy.mkdir(exist_ok=True)
        _copy(f"{source}/.", copy)


def _copy(source: Path | str, target: Path) -> None:
    """With owners and modes. Files that go meanwhile (an upload's) are no fault. Raises
    ``OSError`` with the first other one."""
    command = ["cp", "-a", str(source), str(target)]
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=COPY_S, env=environment
    )
    faults = [line for line in done.stderr.splitlines() if not line.endswith(GONE)]
    if faults:
        raise OSError(faults[0])


def _copy_postgres(data: Path, target: Path) -> None:
    source, folder = postgres_folder(data), postgres_folder(target)
    server = EmbeddedPostgres(source)
    if server.pid is None:
        return _copy(source, folder)
    shutil.copytree(source, folder, ignore=lambda *_: {"cluster", "run", "lock", "postgres.log"})
    command = [str(binaries() / "pg_basebackup"), "--pgdata", str(folder / "cluster")]
    command += ["--dbname", server.url, "--wal-method", "stream", "--checkpoint", "fast"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=COPY_S, check=False, umask=0o077
    )
    if done.returncode:
        raise PostgresFailed(f"pg_basebackup failed: {done.stderr.strip()[-500:]}")
    if os.geteuid() == 0:
        owner = source.stat()
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
