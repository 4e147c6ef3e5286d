"""A guest's disks: qcow2 overlays in `instances/<uuid>/`, on raw bases in `_base`.

Each appears by a rename when it is ready, and is never touched again, so a repeat keeps what the
guest wrote. Names are Nova's: disk, disk.eph0, disk.swap; bases ephemeral_<GiB>_ext4, swap_<MiB>.
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

from handlers.compute.drivers import programs
from handlers.compute.drivers.contract import GuestSpec
from handlers.compute.drivers.disk_errors import disk_errors_named
from handlers.compute.drivers.image_cache import ImageCache
from handlers.compute.drivers.image_inspection import check_fits

GIB = 1 << 30
MIB = 1 << 20


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


def ensure_disks(spec: GuestSpec, folder: Path, cache: ImageCache) -> None:
    """Have all of the guest's disks in `folder`; see `Driver.ensure_disks`."""
    with disk_errors_named(f"server {spec.server_id}"):
        folder.mkdir(parents=True, exist_ok=True)
        for disk in disks_of(spec):
            path = folder / disk.file_name
            if not path.exists():
                _overlay(path, *_BASES[disk.role](spec, cache))
        _write_formats(spec, folder)


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


def _root_base(spec: GuestSpec, cache: ImageCache) -> tuple[Path, int]:
    base = cache.cached(spec.image_id)
    image_bytes = base.stat().st_size
    check_fits(spec, image_bytes)
    return base, spec.root_gib * GIB or image_bytes


def _ephemeral_base(spec: GuestSpec, cache: ImageCache) -> tuple[Path, int]:
    size = spec.ephemeral_gib * GIB
    make = ["mkfs.ext4", "-q", "-F", "-L", "ephemeral0"]
    return _made_base(cache, f"ephemeral_{spec.ephemeral_gib}_ext4", size, make), size


def _swap_base(spec: GuestSpec, cache: ImageCache) -> tuple[Path, int]:
    size = spec.swap_mib * MIB
    return _made_base(cache, f"swap_{spec.swap_mib}", size, ["mkswap"]), size


def _made_base(cache: ImageCache, name: str, size_bytes: int, make: list[str]) -> Path:
    path = cache.folder / name
    with cache.locked(name):
        if path.exists():
            os.utime(path)
            return path
        with written_whole(path) as part:
            descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.truncate(descriptor, size_bytes)
                programs.run([*make, str(part)])
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


_BASES: dict[str, Callable[[GuestSpec, ImageCache], tuple[Path, int]]] = {
    "root": _root_base,
    "ephemeral": _ephemeral_base,
    "swap": _swap_base,
}
