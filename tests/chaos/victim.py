"""The processes of a running site, and what can be done to them.

Only processes of this site are touched: roles by its pid files, the database by its own
``postmaster.pid``, the broker by its directory. What was killed is started again by the site's own
supervisor; what is to stay away for a while is kept from it by its lock.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from chronova.embedded import broker
from chronova.embedded.postgres import EmbeddedPostgres, PostgresFailed
from chronova.processes import running
from tests.bench.sites import Site

AWAY_S = 10.0
"""How long log and database stay away."""
COMES_S = 30.0
TURN_S = 0.05


def wait_until(true: Callable[[], bool], limit_s: float, what: str) -> float:
    """Wait for a condition; how long it took. Fails after ``limit_s``."""
    began = time.monotonic()
    pause = threading.Event()
    while not true():
        waited = time.monotonic() - began
        assert waited < limit_s, f"{what}: not within {limit_s:.0f} s"
        pause.wait(TURN_S)
    return time.monotonic() - began


class Victim:
    """A site's processes by name: the roles, supervisor, worker, backend, postmaster, broker."""

    def __init__(self, site: Site, away_s: float = AWAY_S) -> None:
        self.site = site
        self.away_s = away_s
        self.data = site.data
        self.database = EmbeddedPostgres(self.data / "postgres")

    @property
    def on_kafka(self) -> bool:
        return self.site.settings.on_kafka

    def process(self, role: str) -> psutil.Process:
        """A role's process; waits for one that is just being started again."""
        found: list[psutil.Process] = []

        def there() -> bool:
            process = running(self.data, role)
            found[:] = [process] if process is not None else []
            return bool(found)

        wait_until(there, COMES_S, f"a process of {role}")
        return found[0]

    def workers(self) -> list[psutil.Process]:
        """gunicorn's workers."""
        return list(self.process("api").children())

    def backends(self) -> list[psutil.Process]:
        """Postgres's sessions (not its own housekeeping)."""
        found = []
        for process in self._postmaster().children():
            try:
                line = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if "postgres: postgres postgres" in line:
                found.append(process)
        return found

    def _postmaster(self) -> psutil.Process:
        pid = self.database.pid
        assert pid is not None, "Postgres does not run"
        return psutil.Process(pid)

    def _broker(self) -> psutil.Process:
        process = broker.running(self.data / "kafka")
        assert process is not None, "the broker does not run"
        return process

    # ---------------------------------------------------------------- Postgres

    def kill_postmaster(self) -> None:
        """SIGKILL the postmaster alone; its children notice and end."""
        process = self._postmaster()
        children = process.children()
        process.kill()
        psutil.wait_procs([process, *children], COMES_S)

    def start_postgres(self) -> None:
        """Start it again, as ``chronova up`` does."""

        def started() -> bool:
            try:
                self.database.start()
            except PostgresFailed:  # orphans of a killed postmaster still hold its memory
                return False
            return True

        wait_until(started, 60, "Postgres after a kill")

    @contextmanager
    def postgres_stopped(self) -> Iterator[None]:
        """Postgres shut down cleanly and kept down, and up again afterwards."""
        self.database.stop()
        try:
            with _locked(self.data / "postgres" / "lock"):
                yield
        finally:
            self.start_postgres()

    def await_postgres(self) -> None:
        """Wait until the supervisor has started it again."""
        wait_until(lambda: self.database.pid is not None, COMES_S, "Postgres is back")

    @contextmanager
    def postgres_frozen(self) -> Iterator[None]:
        """Every process of Postgres stopped: connections stay, nothing answers."""
        postmaster = self._postmaster()
        with frozen([postmaster, *postmaster.children()]):
            yield

    # ------------------------------------------------------------------ broker

    def kill_broker(self) -> None:
        """SIGKILL; ``start_broker`` brings it back."""
        process = self._broker()
        process.kill()
        process.wait(10)

    def start_broker(self) -> None:
        """Start it again on its port and data."""
        broker.start(self.data / "kafka")

    def await_broker(self) -> None:
        """Wait until the supervisor has started it again."""
        folder = self.data / "kafka"
        wait_until(lambda: broker.running(folder) is not None, COMES_S, "the broker is back")

    @contextmanager
    def broker_stopped(self) -> Iterator[None]:
        """The broker shut down cleanly and kept down, and up again afterwards."""
        broker.stop(self.data / "kafka")
        try:
            with _locked(self.data / "kafka" / "lock"):
                yield
        finally:
            self.start_broker()

    @contextmanager
    def broker_frozen(self) -> Iterator[None]:
        """The broker's process stopped."""
        with frozen([self._broker()]):
            yield

    # -------------------------------------------------------------- supervisor

    def start_supervisor(self) -> None:
        """Start the supervisor again; it takes the living roles over."""
        # By a process that ends: the supervisor must not be a child of the tests.
        start = "import sys; from chronova import settings, supervisor;"
        start += "supervisor.begin(settings.load(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", start, str(self.data)], check=True, timeout=90)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Nobody may start what this lock is of."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def frozen(processes: list[psutil.Process]) -> Iterator[None]:
    """SIGSTOP now, SIGCONT afterwards."""
    for process in processes:
        send(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            send(process, signal.SIGCONT)


def send(process: psutil.Process, number: int) -> None:
    """Signal a process, if it is still there."""
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return


def folder_of(site: Site) -> Path:
    """Where the site's logs lie."""
    return site.data / "logs"
