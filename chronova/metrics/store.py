"""Where figures are kept: memory-mapped files in one folder, one set for each process.

Each process takes the first free place of its role (``decider-0``, ``api-1``), held by a lock
that dies with it. So places, files and what a scrape costs stay few however often a role is started
anew, and its counters go on where its predecessor's stopped. Whoever finds no place taken at all
begins with an empty folder. A process that was killed leaves its counters; its gauges (what it
owned, how far it was) are left out from then on, because its place is not locked any more.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, values
from prometheus_client.exposition import start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

PLACES_MAX = 64
"""Processes of one role on one machine."""

FOLDER = "metrics"
"""In the site's data folder."""


RESERVED_BYTES = {
    "counter": 1 << 19,
    "histogram": 1 << 19,
    "gauge_livemax": 1 << 16,
    "gauge_livesum": 1 << 16,
}
"""What a process's files take on the disk from the start, by their prefix. A mapped page for which
a full disk has no room ends the process with SIGBUS; one that is reserved does not."""


class StoreFull(Exception):
    """All places of a role are taken."""


class Store:
    """A process's place among the figures of its machine. Make it after a fork, once.

    ``registry`` is what instruments are made with: nothing else reads it. ``close`` gives the
    place up (the end of the process does so as well).
    """

    def __init__(self, folder: Path, role: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.registry = CollectorRegistry()
        with _alone(folder, fcntl.LOCK_EX):
            if not any(_taken(place) for place in folder.glob("*.place")):
                _clear(folder.iterdir())
            self.identity, self._place = _take(folder, role)
            _clear(folder.glob(f"gauge_*_{self.identity}.db"))
            _clear(_unreadable(folder.glob(f"*_{self.identity}.db")))
            _reserve(folder, self.identity)
        identity = self.identity
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        self._value_class = values.MultiProcessValue(lambda: identity)  # type: ignore[no-untyped-call]
        values.ValueClass = self._value_class

    def close(self) -> None:
        """Give the place up. Twice is fine."""
        place, self._place = self._place, -1
        if place >= 0:
            self._value_class.close_all_files()
            os.close(place)


class Exposition(Collector):
    """The figures in ``folder`` in Prometheus' text format: of all roles, or of one."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, folder: Path, role: str = "*") -> None:
        self._folder = folder
        self._role = role
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def render(self) -> bytes:
        """The text, as it is now."""
        return generate_latest(self.registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing is known beforehand: what there is, the files say."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """All processes' figures, added up."""
        if not self._folder.is_dir():
            return ()
        with _alone(self._folder, fcntl.LOCK_SH):
            files = [str(path) for path in self._files()]
            return list(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]

    def _files(self) -> Iterator[Path]:
        for place in sorted(self._folder.glob(f"{self._role}-*.place")):
            lives = _taken(place)
            for path in self._folder.glob(f"*_{place.stem}.db"):
                if lives or not path.name.startswith("gauge_"):
                    yield path


def serve(folder: Path, role: str, address: str, port: int) -> threading.Thread:
    """Serve one role's figures at ``http://address:port/metrics`` in a thread. Raises ``OSError``
    when the port is taken."""
    exposition = Exposition(folder, role)
    _, thread = start_http_server(port, address, exposition.registry)
    return thread


@contextmanager
def _alone(folder: Path, kind: int) -> Iterator[None]:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def _take(folder: Path, role: str) -> tuple[str, int]:
    for number in range(PLACES_MAX):
        identity = f"{role}-{number}"
        path = folder / f"{identity}.place"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return identity, descriptor
    raise StoreFull(f"{PLACES_MAX} processes of the role {role} run on this machine already")


def _reserve(folder: Path, identity: str) -> None:
    """Raises ``OSError`` where there is no room: such a process had better not start."""
    if not hasattr(os, "posix_fallocate"):
        return
    for prefix, size in RESERVED_BYTES.items():
        path = folder / f"{prefix}_{identity}.db"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)


def _taken(place: Path) -> bool:
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def _clear(paths: Iterable[Path]) -> None:
    for path in list(paths):
        if path.name != "lock":
            path.unlink(missing_ok=True)


def _unreadable(paths: Iterable[Path]) -> Iterator[Path]:
    """Files that a crash of the machine has left torn."""
    for path in paths:
        try:
            list(MmapedDict.read_all_values_from_file(str(path)))  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError, OSError, IndexError):
            yield path
