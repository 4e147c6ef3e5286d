"""The guests that were removed from a host: what keeps an old order from making one again.

An order to build comes again where a log was restored from an older copy. The disks would be empty
then, so a host remembers what it removed: a line for each in a file beside its guests, the newest
``REMEMBERED_MAX`` of them. A torn last line is dropped.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec

from handlers.compute.drivers.contract import Removed
from handlers.compute.drivers.disk_errors import disk_errors_named
from handlers.performer.mark import Mark

FILE = "removed.guests"
REMEMBERED_MAX = 10_000


class RemovedGuests:
    """Remembers them, in the file ``path`` if there is one. ``durable``: also over a power cut.
    Thread-safe."""

    def __init__(self, path: Path | None = None, *, durable: bool = True) -> None:
        self._path = path
        self._durable = durable
        self._lock = threading.Lock()
        self._known: dict[str, Removed] = {}
        self._lines = 0
        self._torn = False
        """Whether the file ends within a line."""
        if path is not None and path.exists():
            self._load(path)

    def add(self, server_id: str, project_id: str, mark: Mark) -> None:
        """Remember that the guest was removed. Raises ``DriverError`` where it cannot be kept."""
        with self._lock, disk_errors_named("the list of removed guests"):
            before = self._known.get(server_id)
            if before is None or before.version < mark.version:
                removed = Removed(server_id, project_id, mark.version)
                self._note(removed)
                if self._path is not None:
                    self._append(self._path, removed)

    def mark(self, server_id: str) -> Mark | None:
        """The mark of the guest's removal, if it was removed."""
        removed = self._known.get(server_id)
        return Mark(version=removed.version, stage="removed") if removed is not None else None

    def all(self) -> list[Removed]:
        """Those that are remembered, oldest first."""
        with self._lock:
            return list(self._known.values())

    def _note(self, removed: Removed) -> None:
        self._known.pop(removed.server_id, None)
        self._known[removed.server_id] = removed
        while len(self._known) > REMEMBERED_MAX:
            del self._known[next(iter(self._known))]

    def _append(self, path: Path, removed: Removed) -> None:
        self._lines += 1
        if self._lines > 2 * REMEMBERED_MAX:
            new = path.with_name(path.name + ".new")
            self._write(new, "wb", list(self._known.values()))
            new.replace(path)
            self._lines = len(self._known)
            return
        self._write(path, "ab", [removed])

    def _write(self, path: Path, mode: str, removed: list[Removed]) -> None:
        with path.open(mode) as file:
            if self._torn:  # else this line would be lost with it
                file.write(b"\n")
                self._torn = False
            file.write(b"".join(msgspec.json.encode(one) + b"\n" for one in removed))
            if self._durable:
                file.flush()
                os.fsync(file.fileno())

    def _load(self, path: Path) -> None:
        decoder = msgspec.json.Decoder(Removed)
        content = path.read_bytes()
        self._torn = bool(content) and not content.endswith(b"\n")
        for line in content.splitlines():
            try:
                self._note(decoder.decode(line))
            except msgspec.DecodeError:
                continue  # torn by a crash
            self._lines += 1


def newest(one: Mark | None, other: Mark | None) -> Mark | None:
    """The mark of the newer work."""
    if one is None or other is None:
        return one or other
    return other if other.version > one.version else one
