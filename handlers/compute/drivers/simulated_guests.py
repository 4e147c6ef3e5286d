"""The simulated hypervisor's own memory: its guests and cached images outlive the agent.

With a path, each change is one line appended to a journal by one `write` (no fsync: what kill -9
of the agent must not lose is in the kernel by then; a power cut loses the simulation, which is
fine). A torn last line is dropped. The journal is rewritten when it is mostly history. One process
at a time has it: a file lock, let go by the kernel at the process's death, keeps a second one out.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec

from handlers.compute.drivers.contract import DiskFull, DriverError, PowerState
from handlers.compute.drivers.host_lock import lock_host
from handlers.compute.drivers.removed_guests import FILE, RemovedGuests
from handlers.performer.mark import Mark

COMPACT_FLOOR_LINES = 2000
JOURNAL = "guests.state"
"""Name of the journal in a host's folder."""


class SimulatedGuest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is there of one server: `state` NOSTATE and files only, until it is defined."""

    server_id: str
    name: str = ""
    hostname: str = ""
    image_id: str = ""
    project_id: str = ""
    generation: int = 0
    ram_mib: int = 0
    vcpus: int = 0
    disks: bool = False
    config_drive: bool = False
    state: PowerState = PowerState.NOSTATE
    boots: int = 0
    mark: Mark | None = None

    @property
    def defined(self) -> bool:
        """Whether the hypervisor knows it (rather than only files being there)."""
        return self.state is not PowerState.NOSTATE

    @property
    def known(self) -> bool:
        """Whether it was ever defined: one that the hypervisor lost is in NOSTATE."""
        return bool(self.project_id)


class _Line(msgspec.Struct, omit_defaults=True):
    guest: SimulatedGuest | None = None
    absent: str | None = None
    image_id: str | None = None
    checksum: str = ""


class SimulatedHypervisor:
    """Guests and images by id. Share one object between drivers to outlive a simulated crash."""

    def __init__(self, state_path: Path | None = None) -> None:
        self.guests: dict[str, SimulatedGuest] = {}
        self.removed = RemovedGuests(
            state_path.with_name(FILE) if state_path is not None else None, durable=False
        )
        self.images: dict[str, str] = {}
        self.lock = threading.RLock()
        self._encoder = msgspec.json.Encoder()
        self._path = state_path
        self._journal: int | None = None
        self._lines = 0
        if state_path is not None:
            state_path.parent.mkdir(parents=True, exist_ok=True)
            self._lock_file = lock_host(
                state_path.with_name(state_path.name + ".lock"), state_path.parent.name
            )
            self._load(state_path)

    def put(self, guest: SimulatedGuest) -> None:
        """Remember the guest as it is now."""
        self.guests[guest.server_id] = guest
        if self._journal is not None:
            self._append(_Line(guest=guest))

    def drop(self, server_id: str) -> None:
        """Forget the guest; fine when there is none."""
        if self.guests.pop(server_id, None) is not None and self._journal is not None:
            self._append(_Line(absent=server_id))

    def put_image(self, image_id: str, checksum: str) -> None:
        """Remember an image as cached and verified."""
        self.images[image_id] = checksum
        if self._journal is not None:
            self._append(_Line(image_id=image_id, checksum=checksum))

    def drop_image(self, image_id: str) -> None:
        """Forget a cached image."""
        if self.images.pop(image_id, None) is not None and self._journal is not None:
            self._append(_Line(image_id=image_id))

    def close(self) -> None:
        """Let go of the journal, so that another may open it."""
        if self._journal is not None:
            os.close(self._journal)
            os.close(self._lock_file)
            self._journal = None

    def _append(self, line: _Line) -> None:
        assert self._journal is not None
        whole = self._encoder.encode(line) + b"\n"
        try:
            written = os.write(self._journal, whole)
        except OSError as error:
            raise DiskFull(f"{self._path} cannot be written: {error.strerror}.") from error
        if written < len(whole):
            os.ftruncate(self._journal, os.fstat(self._journal).st_size - written)
            raise DiskFull(f"{self._path} cannot be written: no space is left.")
        self._lines += 1
        if self._lines > COMPACT_FLOOR_LINES + 4 * (len(self.guests) + len(self.images)):
            self._compact()

    def _load(self, path: Path) -> None:
        text = path.read_bytes() if path.exists() else b""
        decoder = msgspec.json.Decoder(_Line)
        whole = text[: text.rfind(b"\n") + 1]
        for raw in whole.splitlines():
            try:
                line = decoder.decode(raw)
            except msgspec.DecodeError as error:
                raise DriverError(f"{path} is not a simulated host's state: {error}.") from None
            if line.guest is not None:
                self.guests[line.guest.server_id] = line.guest
            elif line.absent is not None:
                self.guests.pop(line.absent, None)
            elif line.image_id is not None and line.checksum:
                self.images[line.image_id] = line.checksum
            elif line.image_id is not None:
                self.images.pop(line.image_id, None)
        self._compact()

    def _compact(self) -> None:
        assert self._path is not None
        lines = [_Line(guest=guest) for guest in self.guests.values()]
        lines += [_Line(image_id=key, checksum=value) for key, value in self.images.items()]
        written = self._path.with_name(self._path.name + ".new")
        written.write_bytes(b"".join(self._encoder.encode(line) + b"\n" for line in lines))
        written.replace(self._path)
        if self._journal is not None:
            os.close(self._journal)
        self._journal = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._lines = len(lines)


def recorded_guest(path: Path, server_id: str) -> SimulatedGuest | None:
    """The guest by a journal that another process may be writing; None when there is none.

    Only the lines that name the server are decoded, the last first.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    wanted, decoder = server_id.encode(), msgspec.json.Decoder(_Line)
    end = text.rfind(b"\n") + 1
    while (at := text.rfind(wanted, 0, end)) >= 0:
        begin = text.rfind(b"\n", 0, at) + 1
        line = decoder.decode(text[begin : text.index(b"\n", at)])
        if line.guest is not None and line.guest.server_id == server_id:
            return line.guest
        if line.absent == server_id:
            return None
        end = begin
    return None
