"""From packages to one bootable raw disk, and its description beside it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from chronova.demo_image.disk import bootable_disk
from chronova.demo_image.initramfs import GUEST_FILES, initramfs
from chronova.demo_image.packages import unpacked_packages

BUILDER_VERSION = 1
BUILD_PACKAGES = (
    "linux-image-cloud-amd64",
    "busybox-static",
    "syslinux",
    "syslinux-common",
    "mtools",
    "cpio",
)


class DemoImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image ready for upload: `path` has `size_bytes` bytes with that sha512 (hex).

    `min_disk_gib` and `min_ram_mib` are what it needs to boot; `properties` are Glance's.
    """

    path: Path
    size_bytes: int
    sha512: str
    recipe: str
    packages: dict[str, str]
    disk_format: str = "raw"
    container_format: str = "bare"
    min_disk_gib: int = 1
    min_ram_mib: int = 128
    properties: dict[str, str] = msgspec.field(
        default_factory=lambda: {
            "os_type": "linux",
            "os_distro": "debian",
            "architecture": "x86_64",
        }
    )


def build(out_dir: Path, say: Callable[[str], None]) -> DemoImage:
    """The demo image in `out_dir`, built when it is not there yet (some seconds, 30 MB fetched).

    Raises DemoImageUnavailable when the machine cannot build it (no apt, no network).
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    recipe = _recipe()
    description = out_dir / f"demo-{recipe[:12]}.json"
    found = _found(description)
    if found is not None:
        return found
    say("Building the demo image from Debian's cloud kernel and busybox (about 30 MB to fetch)")
    with tempfile.TemporaryDirectory(dir=out_dir, prefix=".building-") as scratch:
        work = Path(scratch)
        tree, versions = unpacked_packages(BUILD_PACKAGES, work)
        ramdisk = initramfs(tree, work)
        disk = bootable_disk(tree, ramdisk, work)
        with disk.open("rb") as stream:
            checksum = hashlib.file_digest(stream, "sha512").hexdigest()
        image = DemoImage(
            path=out_dir / f"demo-{recipe[:12]}.raw",
            size_bytes=disk.stat().st_size,
            sha512=checksum,
            recipe=recipe,
            packages=versions,
        )
        disk.replace(image.path)
        written = work / "description"
        written.write_bytes(msgspec.json.format(msgspec.json.encode(image, enc_hook=str)))
        written.replace(description)
    say(f"Demo image: {image.path.name}, {image.size_bytes >> 20} MiB")
    return image


def _found(description: Path) -> DemoImage | None:
    """The image described there, if it is whole; its folder may have been moved."""
    try:
        image = msgspec.json.decode(
            description.read_bytes(), type=DemoImage, dec_hook=lambda kind, text: kind(text)
        )
        image = msgspec.structs.replace(image, path=description.with_suffix(".raw"))
        with image.path.open("rb") as stream:
            checksum = hashlib.file_digest(stream, "sha512").hexdigest()
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return image if checksum == image.sha512 else None


def _recipe() -> str:
    """A digest of all that is ours in the image: what changes it, makes a new one."""
    digest = hashlib.sha256(f"{BUILDER_VERSION} {' '.join(BUILD_PACKAGES)}".encode())
    for path in sorted(path for path in GUEST_FILES.rglob("*") if path.is_file()):
        digest.update(f"\0{path.relative_to(GUEST_FILES)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
