"""The supervisor: starts the roles of this machine and starts again what dies.

For sites without systemd, as ``make up`` makes them. It knows nothing of what the roles do. A role
that keeps dying is started again ever more slowly, up to ``PAUSE_MAX_S``. SIGTERM ends the roles in
order, each with ``GRACE_S`` to finish, and then the supervisor. Its own death ends nothing: the
next one takes the living roles over by their pid files.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import msgspec
import psutil
import structlog
from setproctitle import setproctitle

from chronova import exclusive, journal, listening, log_files, modes
from chronova.ending import end, lives
from chronova.processes import SUPERVISOR, pid_file, running, title
from chronova.roles import beneath
from chronova.settings import Settings, SettingsError
from chronova.stopping import ENDING, Stop

GRACE_S = 30.0
PAUSE_MIN_S, PAUSE_MAX_S = 0.2, 10.0
HEALTHY_S = 30.0
LISTENS_S = 2.0
"""While the pause is no longer, clients wait for the API's next process; then they are refused."""
TURN_S = 0.2
BEGINS_S = 20.0
"""Within which a supervisor has come up far enough to be found."""
LOOKS_S = 1.0
BENEATH = "beneath"
LISTENING = "api"
"""The role whose socket is held for it (``chronova.listening``)."""

ROLES = ("decider", "projector", "agent", "api")
"""In the order of their start; any order works."""


logger = structlog.get_logger("supervisor")


class Child(msgspec.Struct):
    """A role's process, and when it may be started again."""

    role: str
    process: psutil.Process | None = None
    started: float = 0.0
    pause: float = PAUSE_MIN_S
    not_before: float = 0.0


def spawn(settings: Settings) -> subprocess.Popen[bytes]:
    """Start the supervisor detached; its log is ``<data>/logs/supervisor.log``."""
    data = settings.data_path
    with _log_file(data, SUPERVISOR).open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "chronova", "--data", str(data), "supervise"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _log_file(data: Path, name: str) -> Path:
    for folder in ("logs", "run"):
        (data / folder).mkdir(parents=True, exist_ok=True)
    return data / "logs" / f"{name}.log"


def preload() -> None:
    """Import what the roles need, once for all: their processes share those pages, and a role
    that died is back within milliseconds. No thread, connection or clock is begun here."""
    for role in ROLES:
        import_module(f"chronova.roles.{role}")
    gc.collect()
    gc.freeze()


def fork(settings: Settings, role: str, lock: int | None = None) -> int:
    """Run a role in a process forked from this one, which has no threads. Returns its pid.

    ``lock``: the supervisor's own, which must not outlive it in the roles.
    """
    data = settings.data_path
    log = _log_file(data, role)
    pid = _fork()
    if pid:
        with suppress(OSError):  # a full disk: who asks finds no pid, the role runs all the same
            pid_file(data, role).write_text(f"{pid}\n")
        return pid
    code = 1
    try:
        if lock is not None:
            os.close(lock)
        os.setsid()
        modes.begin(settings, role)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(output, stream)
        if role != LISTENING:
            listening.release()
        setproctitle(title(data, role))
        journal.begin(role)
        import_module(f"chronova.roles.{role}").serve(settings)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException as error:  # noqa: BLE001 - the process ends with it, in its own log
        _tell(role, error)
    finally:
        sys.stderr.flush()
        os._exit(code)


def _fork() -> int:
    """Fork this process, which has no threads. The new process ends at ``ENDING`` signals from its
    first moment on: this one's handlers would take them for its own. Returns: as ``os.fork``."""
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        pid = os.fork()
        if not pid:
            for number in ENDING:
                signal.signal(number, signal.SIG_DFL)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)


def _tell(role: str, error: BaseException) -> None:
    """A sentence for what may be expected to go wrong, a traceback for the rest."""
    from chronova.failures import EXPECTED, sentence  # it knows this module too

    if isinstance(error, (*EXPECTED, SettingsError)):
        structlog.get_logger(role).critical("role_ended", reason=sentence(error))
    else:
        traceback.print_exception(error)


class Supervisor:
    """Keeps ``roles`` running."""

    def __init__(self, settings: Settings, roles: tuple[str, ...] = ROLES) -> None:
        self._settings = settings
        self._data = settings.data_path
        self._children = [Child(role) for role in roles]
        self._starter = Child(BENEATH)
        self._looked = 0.0
        self._lock: int | None = None

    def run(self) -> None:
        """Until SIGTERM or SIGINT. A second one of the same folder ends at once."""
        journal.begin(SUPERVISOR)
        self._lock = exclusive.hold(self._data, SUPERVISOR)
        if self._lock is None:
            logger.warning("not_needed", reason="another supervisor runs this site")
            return
        _log_file(self._data, SUPERVISOR)
        pid_file(self._data, SUPERVISOR).write_text(f"{os.getpid()}\n")
        preload()
        setproctitle(title(self._data, SUPERVISOR))
        stop = Stop()
        while not stop.is_set():
            for child in self._children:
                self._tend(child)
            self._hold_up()
            _reap()
            stop.wait(TURN_S)
        listening.release()
        for child in (self._starter, *reversed(self._children)):
            self._end(child)

    def _tend(self, child: Child) -> None:
        if child.process is None:
            child.process = running(self._data, child.role)
        if child.process is not None and lives(child.process):
            return
        now = time.monotonic()
        if child.process is not None:
            child.process = None
            healthy = now - child.started > HEALTHY_S
            child.pause = PAUSE_MIN_S if healthy else min(child.pause * 2, PAUSE_MAX_S)
            child.not_before = now + child.pause
            logger.warning("ended", child=child.role, next_start_s=round(child.pause, 1))
        if now >= child.not_before:
            if child.role == LISTENING:
                self._listen(child)
            child.process = psutil.Process(fork(self._settings, child.role, self._lock))
            child.started = now

    def _hold_up(self) -> None:
        """See that what the roles stand on is there (``chronova.roles.beneath``)."""
        child, now = self._starter, time.monotonic()
        if now - self._looked < LOOKS_S or (child.process is not None and lives(child.process)):
            return
        self._looked = now
        log_files.rotate(
            self._data, self._settings.log_file_mib << 20, self._settings.log_files_kept
        )
        child.process = None
        gone = beneath.missing(self._settings)
        if not gone:
            child.pause = PAUSE_MIN_S
        elif now >= child.not_before:
            logger.warning("missing", what=sorted(gone))
            child.process = psutil.Process(fork(self._settings, BENEATH, self._lock))
            child.pause = min(child.pause * 2, PAUSE_MAX_S)
            child.not_before = now + child.pause

    def _listen(self, child: Child) -> None:
        if child.pause <= LISTENS_S:
            listening.hold(self._settings)
        else:
            listening.release()

    def _end(self, child: Child) -> None:
        if child.process is None or not lives(child.process):
            return
        end(child.process, GRACE_S)
        _reap()
        pid_file(self._data, child.role).unlink(missing_ok=True)


def _reap() -> None:
    """Take the exit codes of all children that have ended.

    All, and again at each turn: a process is a zombie from the moment its first thread is gone, but
    its code cannot be had before the last one is.
    """
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def begin(settings: Settings) -> None:
    """Start the supervisor, unless it runs; returns once it does, or has ended again."""
    data = settings.data_path
    if running(data, SUPERVISOR) is not None:
        return
    process = spawn(settings)
    until = time.monotonic() + BEGINS_S
    while running(data, SUPERVISOR) is None and process.poll() is None:
        if time.monotonic() > until:
            break
        time.sleep(TURN_S / 10)
    process.returncode = process.returncode or 0  # a daemon: nobody waits for it here


def finish(settings: Settings) -> list[str]:
    """End the supervisor and the roles; the names of what was ended."""
    ended = []
    data = settings.data_path
    for name in (SUPERVISOR, *reversed(ROLES)):
        process = running(data, name)
        if process is not None and process.pid != os.getpid():
            end(process, GRACE_S * 2 if name == SUPERVISOR else GRACE_S)
            ended.append(name)
        pid_file(data, name).unlink(missing_ok=True)
    return ended
