"""The demo guest's whole file system: busybox, the guest files, and the few drivers it loads."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from pathlib import Path

from chronova.demo_image.packages import DemoImageUnavailable

GUEST_FILES = Path(__file__).parent / "guest"
DRIVERS = (
    "button",
    "evdev",
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "virtio_net",
    "virtio_rng",
    "virtio_balloon",
    "ata_piix",
    "sd_mod",
    "sr_mod",
    "isofs",
    "vfat",
    "nls_cp437",
    "nls_ascii",
)
_FOLDERS = ("bin", "dev", "etc", "mnt", "proc", "root", "run", "sbin", "sys", "tmp", "usr/bin")
_SOURCE_DATE = 1_577_836_800  # 2020-01-01: any fixed date; it makes builds repeatable


def initramfs(tree: Path, scratch: Path) -> Path:
    """A gzipped cpio archive (newc) in `scratch`; `tree` holds the unpacked packages."""
    root = scratch / "root"
    for folder in (*_FOLDERS, "usr/sbin"):
        (root / folder).mkdir(parents=True)
    busybox = tree / "bin/busybox"
    shutil.copyfile(busybox, root / "bin/busybox")
    shutil.copytree(GUEST_FILES, root, dirs_exist_ok=True)
    _copy_drivers(tree, root, busybox)
    _normalise(root)
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
    cpio = ["cpio", "--quiet", "--create", "--format=newc", "--owner=0:0", "--reproducible"]
    archived = subprocess.run(
        [str(tree / "bin" / cpio[0]), *cpio[1:]],
        cwd=root,
        input="\n".join(names).encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    if archived.returncode != 0:
        raise DemoImageUnavailable(f"cpio failed: {archived.stderr.decode().strip()}.")
    packed = scratch / "initrd"
    packed.write_bytes(gzip.compress(archived.stdout, 9, mtime=0))
    return packed


def kernel_version(tree: Path) -> str:
    """The one kernel's release, e.g. 6.1.0-56-cloud-amd64."""
    kernels = sorted((tree / "boot").glob("vmlinuz-*"))
    if len(kernels) != 1:
        raise DemoImageUnavailable(f"The kernel package has {len(kernels)} kernels, not one.")
    return kernels[0].name.removeprefix("vmlinuz-")


def _copy_drivers(tree: Path, root: Path, busybox: Path) -> None:
    version = kernel_version(tree)
    modules = tree / "lib/modules" / version
    made = subprocess.run(
        [str(busybox), "depmod", "-b", str(tree), version],
        capture_output=True,
        timeout=60,
        check=False,
    )
    if made.returncode != 0:
        raise DemoImageUnavailable(f"depmod failed: {made.stderr.decode().strip()}.")
    depends: dict[str, list[str]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, needed = line.partition(":")
        depends[path] = needed.split()
    wanted: set[str] = set()
    for path, others in depends.items():
        if Path(path).name.removesuffix(".ko").replace("-", "_") in DRIVERS:
            wanted |= {path, *others}
    target = root / "lib/modules" / version
    for path in sorted(wanted):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(modules / path, target / path)
    lines = [f"{path}: {' '.join(depends[path])}".rstrip() for path in sorted(wanted)]
    (target / "modules.dep").write_text("\n".join(lines) + "\n")


def _normalise(root: Path) -> None:
    """Fixed modes and times; scripts are known by their first line, busybox by its name."""
    for path in root.rglob("*"):
        if path.is_dir():
            mode = 0o1777 if path.name == "tmp" else 0o755
        elif path.name == "busybox" or path.read_bytes()[:2] == b"#!":
            mode = 0o755
        else:
            mode = 0o600 if path.name == "shadow" else 0o644
        path.chmod(mode)
        os.utime(path, (_SOURCE_DATE, _SOURCE_DATE))
