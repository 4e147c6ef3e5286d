"""Images on the host: `_base/<sha1 of the image id>`, raw, verified, shared by all its guests.

A base appears by a rename, after its checksum and its format were checked, so a file with that
name is whole and right. A fetch cut off leaves a `.part` that the next one overwrites. A lock per
image (a file lock: it dies with the process) has concurrent calls, of any process, fetch once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from handlers.compute.drivers.contract import (
    DriverError,
    GuestSpec,
    ImageCorrupt,
    ImageFetch,
    ImageUnavailable,
)
from handlers.compute.drivers.disk_errors import disk_errors_named
from handlers.compute.drivers.disk_room import room_for
from handlers.compute.drivers.image_inspection import check_fits, convert, inspect

LOCK_TIMEOUT_S = 3600
LOCK_POLL_S = 0.02
BASE_MODE = 0o600
"""Of a base, as of the disks above it: libvirt gives a guest's disk to QEMU's user together with
all that is beneath it, and nobody else needs to read either."""


class _Cached(msgspec.Struct):
    image_id: str
    sha512: str


class ImageCache:
    """The cache under one `instances_dir`."""

    def __init__(self, instances_dir: Path) -> None:
        self.folder = instances_dir / "_base"
        self.locks = instances_dir / "locks"

    def path(self, image_id: str) -> Path:
        """Where the image's raw data is, once cached."""
        return self.folder / hashlib.sha1(image_id.encode(), usedforsecurity=False).hexdigest()

    def cached(self, image_id: str) -> Path:
        """The image's raw data; marked as used now. Raises ImageUnavailable."""
        path = self.path(image_id)
        try:
            mark_used(path)
        except FileNotFoundError:
            raise ImageUnavailable(f"Image {image_id} is not in this host's cache.") from None
        return path

    def ensure(self, spec: GuestSpec, fetch: ImageFetch) -> None:
        """Have the image; see `Driver.ensure_image`."""
        check_fits(spec, spec.image_size_bytes)
        path = self.path(spec.image_id)
        if self._is_there(spec, path):
            return
        with self.locked(path.name):
            if not self._is_there(spec, path):
                with disk_errors_named(f"image {spec.image_id}"):
                    self._fetch(spec, fetch, path)

    def restore(self, spec: GuestSpec, fetch: ImageFetch) -> None:
        """Have the base under existing disks; see `Driver.ensure_bases`."""
        with self.locked(self.path(spec.image_id).name, shared=True):
            try:
                self.cached(spec.image_id)
                return
            except ImageUnavailable:
                pass
        self.ensure(spec, fetch)

    @contextmanager
    def locked(self, name: str, *, shared: bool = False) -> Iterator[None]:
        """Alone with the cache's file of that name, among all processes and threads.

        `shared`: together with others who share it. A file is removed only by one who is alone.
        """
        for folder in (self.locks, self.folder):
            folder.mkdir(parents=True, exist_ok=True)
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        until = time.monotonic() + LOCK_TIMEOUT_S
        while (descriptor := _try_lock(self.locks / name, kind)) is None:
            if time.monotonic() > until:
                raise DriverError(f"The lock of {name} was not free for {LOCK_TIMEOUT_S} s.")
            time.sleep(LOCK_POLL_S)
        try:
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def locked_if_free(self, name: str) -> Iterator[bool]:
        """The same without waiting: False when another has the lock."""
        self.locks.mkdir(parents=True, exist_ok=True)
        descriptor = _try_lock(self.locks / name, fcntl.LOCK_EX)
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _is_there(self, spec: GuestSpec, path: Path) -> bool:
        try:
            cached = msgspec.json.decode(_note(path).read_bytes(), type=_Cached)
            mark_used(path)
        except (FileNotFoundError, msgspec.DecodeError):
            return False
        if cached.sha512 != spec.image_checksum:
            raise ImageCorrupt(
                f"Image {spec.image_id} is cached with the sha512 {cached.sha512[:16]}…, "
                f"expected {spec.image_checksum[:16]}…."
            )
        check_fits(spec, path.stat().st_size)
        return True

    def _fetch(self, spec: GuestSpec, fetch: ImageFetch, path: Path) -> None:
        part, converted = (
            path.with_name(path.name + ".part"),
            path.with_name(path.name + ".converted"),
        )
        try:
            part.unlink(missing_ok=True)
            with room_for(spec, part, spec.image_size_bytes):
                fetch(spec.image_id, part)
            _verify(spec, part)
            inspected = inspect(spec, part)
            check_fits(spec, inspected.virtual_size_bytes)
            if inspected.format == "raw":
                converted = part
            else:
                convert(spec, inspected, part, converted)
            converted.chmod(BASE_MODE)
            _synced(converted)
            # The note first: a base without a note is fetched again, a note alone says nothing.
            note = _note(path)
            written = note.with_name(note.name + ".new")
            written.write_bytes(
                msgspec.json.encode(_Cached(image_id=spec.image_id, sha512=spec.image_checksum))
            )
            written.replace(note)
            converted.replace(path)
            _synced(path.parent)
        finally:
            part.unlink(missing_ok=True)
            converted.unlink(missing_ok=True)


def mark_used(path: Path) -> None:
    """Note that a base is used now, and close one that an older version left open."""
    os.utime(path)
    path.chmod(BASE_MODE)


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _try_lock(path: Path, kind: int) -> int | None:
    """The locked file's descriptor; None when it is not free, or was removed just now."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _verify(spec: GuestSpec, part: Path) -> None:
    with part.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha512").hexdigest()
    if found != spec.image_checksum:
        raise ImageCorrupt(
            f"Image {spec.image_id} is corrupt: the sha512 of its data is {found[:16]}…, "
            f"expected {spec.image_checksum[:16]}…."
        )


def _synced(path: Path) -> None:
    """On disk, not only in memory: a base must not be torn by a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
