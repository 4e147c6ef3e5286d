"""A guest's disks: qcow2 overlays in `instances/<uuid>/`, on raw bases in `_base`.

Each appears by a rename when it is ready, and is never touched again, so a repeat keeps what the
guest wrote. Names are Nova's: disk, disk.eph0, disk.swap; bases ephemeral_<GiB>_ext4, swap_<MiB>.
Only a build makes disks. What is beneath them is no data of the guest and may be made again.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from commands.compute.bootable import ISO
from handlers.compute.drivers import programs
from handlers.compute.drivers.contract import DiskMissing, GuestSpec, ImageFetch
from handlers.compute.drivers.disk_errors import disk_errors_named
from handlers.compute.drivers.image_cache import BASE_MODE, ImageCache, mark_used
from handlers.compute.drivers.image_inspection import check_fits

GIB = 1 << 30
MIB = 1 << 20
# With the same ids and time mkfs and mkswap write the same bytes: a base that is made again fits
# under the disks that were made on the first one.
_UUID = "d3b0f6a2-6f1e-4c55-9d2f-0a8f1b7e4c10"
_SAME_TIME = {"E2FSPROGS_FAKE_TIME": "1700000000"}


class Disk(NamedTuple):
    """One disk of a guest, in the order of its device names."""

    file_name: str
    role: str  # root, ephemeral or swap


def disks_of(spec: GuestSpec) -> list[Disk]:
    """The disks that the flavor gives: root, then ephemeral, then swap."""
    disks = [Disk("disk", "root")]
    if spec.ephemeral_gib:
        disks.append(Disk("disk.eph0", "ephemeral"))
    if spec.swap_mib:
        disks.append(Disk("disk.swap", "swap"))
    return disks


def is_optical(spec: GuestSpec) -> bool:
    """Whether the root disk is an optical one, of the image's own size: that of an ISO image."""
    return spec.image_disk_format == ISO


def ensure_disks(spec: GuestSpec, folder: Path, cache: ImageCache) -> None:
    """Have all of the guest's disks in `folder`; see `Driver.ensure_disks`."""
    with disk_errors_named(f"server {spec.server_id}"):
        folder.mkdir(parents=True, exist_ok=True)
        for disk in disks_of(spec):
            path = folder / disk.file_name
            if not path.exists():
                _MAKERS[disk.role](spec, path, cache)
        _write_formats(spec, folder)


def check_present(spec: GuestSpec, folder: Path) -> None:
    """Raise DiskMissing for a disk of the guest that is not in `folder`."""
    for disk in disks_of(spec):
        if not (folder / disk.file_name).exists():
            raise DiskMissing(
                f"The {disk.role} disk of server {spec.server_id} is not there. It is not made "
                "again, for it held the server's data."
            )


def ensure_bases(spec: GuestSpec, folder: Path, cache: ImageCache, fetch: ImageFetch) -> None:
    """Have the files beneath the guest's disks in `folder`; see `Driver.ensure_bases`."""
    check_present(spec, folder)
    cache.restore(spec, fetch)
    with disk_errors_named(f"server {spec.server_id}"):
        for disk in disks_of(spec):
            if disk.role != "root":
                base = _MADE[disk.role](spec)
                with cache.locked(base.name):
                    _ensure_made(base, cache)


def supports_direct_io(folder: Path) -> bool:
    """Whether files there can be opened with O_DIRECT (some network and memory ones cannot)."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".direct_io_{os.getpid()}_{threading.get_ident()}"
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        if error.errno == errno.EINVAL:
            return False
        raise
    finally:
        path.unlink(missing_ok=True)
    return True


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path to write to; the file gets its right name when the block ends well."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _overlay(path: Path, base: Path, size_bytes: int) -> None:
    with written_whole(path) as part:
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(base)]
        programs.run([*command, str(part), str(size_bytes)])


def _make_root(spec: GuestSpec, path: Path, cache: ImageCache) -> None:
    with cache.locked(cache.path(spec.image_id).name, shared=True):
        base = cache.cached(spec.image_id)
        image_bytes = base.stat().st_size
        check_fits(spec, image_bytes)
        _overlay(
            path, base, image_bytes if is_optical(spec) else spec.root_gib * GIB or image_bytes
        )


def _make_other(role: str) -> Callable[[GuestSpec, Path, ImageCache], None]:
    def make(spec: GuestSpec, path: Path, cache: ImageCache) -> None:
        base = _MADE[role](spec)
        with cache.locked(base.name):
            _overlay(path, _ensure_made(base, cache), base.size_bytes)

    return make


class _Made(NamedTuple):
    """A base that is made here, always with the same contents: disks are layers on it."""

    name: str
    size_bytes: int
    command: list[str]


def _ephemeral(spec: GuestSpec) -> _Made:
    make = ["mkfs.ext4", "-q", "-F", "-L", "ephemeral0", "-U", _UUID, "-E", f"hash_seed={_UUID}"]
    return _Made(f"ephemeral_{spec.ephemeral_gib}_ext4", spec.ephemeral_gib * GIB, make)


def _swap(spec: GuestSpec) -> _Made:
    return _Made(f"swap_{spec.swap_mib}", spec.swap_mib * MIB, ["mkswap", "-U", _UUID])


def _ensure_made(base: _Made, cache: ImageCache) -> Path:
    """Have the base, whose lock the caller holds; marked as used now."""
    path = cache.folder / base.name
    if path.exists():
        mark_used(path)
        return path
    with written_whole(path) as part:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, BASE_MODE)
        try:
            os.truncate(descriptor, base.size_bytes)
            programs.run([*base.command, str(part)], environment=_SAME_TIME)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return path


def _write_formats(spec: GuestSpec, folder: Path) -> None:
    """`disk.info`: each file's format, so that nothing ever has to guess it from the contents."""
    path = folder / "disk.info"
    if not path.exists():
        formats = {str(folder / disk.file_name): "qcow2" for disk in disks_of(spec)}
        with written_whole(path) as part:
            part.write_bytes(msgspec.json.encode(formats))


_MADE: dict[str, Callable[[GuestSpec], _Made]] = {"ephemeral": _ephemeral, "swap": _swap}
_MAKERS: dict[str, Callable[[GuestSpec, Path, ImageCache], None]] = {
    "root": _make_root,
    "ephemeral": _make_other("ephemeral"),
    "swap": _make_other("swap"),
}
