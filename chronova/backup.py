"""A backup of a site on one machine: a data folder that can be brought up as it is.

A site with its log in the embedded Postgres is copied while it runs (pg_basebackup, one moment of
everything). A broker's files are of one moment only while it does not run: such a site is to be
down. Left out is what is made again: snapshots, figures, logs; and disks of real guests.

No password in clear is copied. `up` makes the broker's and Postgres's anew; the admin's is reset
(``chronova admin reset-password``). Keys are copied: without them the copy would be no site. So is
the password of a Kafka or Postgres of one's own, in the settings, which nobody here could make.

Servers' secrets are copied before and after the database, so that no server which the copy's log
knows lacks its own. What the copy has too much, its first sweep removes.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec

from api.services import ApiSettings
from chronova import exclusive, site_id
from chronova.embedded import broker
from chronova.embedded.addresses import EMBEDDED, broker_folder, postgres_folder
from chronova.embedded.broker_properties import client_options
from chronova.embedded.postgres import PASSWORD, EmbeddedPostgres, PostgresFailed, binaries
from chronova.settings import Settings, SettingsError, file_of, load, write

LEFT_OUT = ("run", "logs", "metrics", "snapshots")
PASSWORDS = ("clouds.yaml", "openrc", "kcat.conf", "consumer.properties", "server.properties")
"""Files that hold passwords in clear, in the site's folder and in its broker's."""
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
        identity = site_id.read(data)
        if settings.database == EMBEDDED and not (identity and identity.furnished):
            raise SettingsError(f"the site in {data} was never made whole: `chronova up` first")
        if settings.log == EMBEDDED and broker.running(broker_folder(data)) is not None:
            raise SettingsError("the site's broker runs: `chronova down` first, then the backup")
        target.mkdir(mode=0o700, parents=True)
        _copy_but(data, target, _left_out(settings))
        _write_settings(data, target)
        broker_files = broker_folder(data)
        if broker_files.exists():
            _copy_but(broker_files, broker_folder(target), _passwords())
        if settings.database == EMBEDDED:
            _copy_postgres(data, target)
            _copy_secrets(settings, target)
    for name, value in (("log", settings.log), ("database", settings.database)):
        if value not in ("", EMBEDDED):
            say(
                f"The {name} is no part of the folder, and not of this backup. How to log in to it,"
                f" with a password if it has one, is: {file_of(str(target))}"
            )
    say(f"The site is in {target}")


def _left_out(settings: Settings) -> set[str]:
    guests = {"instances"} if settings.driver == "libvirt" else set()
    data = settings.data_path
    apart = {path.name for path in (postgres_folder(data), broker_folder(data), file_of(str(data)))}
    return {*LEFT_OUT, *apart, *guests, *_passwords()}


def _passwords() -> set[str]:
    """The files, also as they are while they are written."""
    return {f"{name}{end}" for name in PASSWORDS for end in ("", ".new")}


def _write_settings(data: Path, target: Path) -> None:
    """As the site's file has them, without the login of a broker that `up` gives another one."""
    if not file_of(str(data)).exists():
        return
    kept = load(str(data), {})
    options = dict(kept.log_options)
    if kept.log == EMBEDDED:
        options = {name: value for name, value in options.items() if name not in client_options("")}
    write(msgspec.structs.replace(kept, data=str(target), log_options=options))


def _copy_but(source: Path, target: Path, without: set[str]) -> None:
    """Copy what is in a folder, but for these names."""
    target.mkdir(mode=0o700, exist_ok=True)
    for path in sorted(source.iterdir()):
        if path.name not in without:
            _copy(path, target / path.name)


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
    without = {"run", "lock", "postgres.log", PASSWORD}
    if server.pid is None:
        _copy_but(source, folder, without)
    else:
        _copy_but(source, folder, {*without, "cluster"})
        _copy_cluster(server, folder)
    if os.geteuid() == 0:
        owner = source.stat()
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _copy_cluster(server: EmbeddedPostgres, folder: Path) -> None:
    command = [str(binaries() / "pg_basebackup"), "--pgdata", str(folder / "cluster")]
    command += ["--dbname", server.url, "--wal-method", "stream", "--checkpoint", "fast"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=COPY_S, check=False, umask=0o077
    )
    if done.returncode:
        raise PostgresFailed(f"pg_basebackup failed: {done.stderr.strip()[-500:]}")
