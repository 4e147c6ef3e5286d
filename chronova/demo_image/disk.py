"""A bootable disk image, made without root and without mounting: MBR, one FAT16, SYSLINUX."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

from chronova.demo_image.initramfs import kernel_version
from chronova.demo_image.packages import DemoImageUnavailable

MIB = 1 << 20
SECTOR = 512
_START = MIB  # the usual alignment of a first partition
_SPARE = 2 * MIB  # room for FAT tables, SYSLINUX itself and its configuration
_CONFIGURATION = """\
DEFAULT demo
PROMPT 0
TIMEOUT 0
LABEL demo
  KERNEL /vmlinuz
  INITRD /initrd
  APPEND console=tty0 console=ttyS0,115200 panic=5
"""


def bootable_disk(tree: Path, ramdisk: Path, scratch: Path) -> Path:
    """A raw disk in `scratch` that boots the kernel of `tree` with that initramfs."""
    kernel = scratch / "vmlinuz"
    shutil.copyfile(tree / "boot" / f"vmlinuz-{kernel_version(tree)}", kernel)
    configuration = scratch / "syslinux.cfg"
    configuration.write_text(_CONFIGURATION)
    payload = kernel.stat().st_size + ramdisk.stat().st_size
    size = (_START + payload + _SPARE + MIB - 1) // MIB * MIB
    disk = scratch / "disk"
    sectors = (size - _START) // SECTOR
    with disk.open("wb") as stream:
        stream.write(_master_boot_record(tree, sectors))
        stream.truncate(size)
    partition = f"{disk}@@{_START}"
    tools = tree / "usr/bin"
    geometry = ["-T", str(sectors), "-h", "16", "-s", "63", "-H", str(_START // SECTOR)]
    _run(tools, ["mformat", "-i", partition, *geometry, "-N", "c4704064", "-v", "CHRONOVA", "::"])
    _run(tools, ["syslinux", "--install", "--offset", str(_START), str(disk)])
    _run(tools, ["mcopy", "-i", partition, *map(str, (kernel, ramdisk, configuration)), "::/"])
    return disk


def _master_boot_record(tree: Path, sectors: int) -> bytes:
    """SYSLINUX's boot code and one active FAT16 (LBA) partition; CHS fields are long unused."""
    code = (tree / "usr/lib/syslinux/mbr/mbr.bin").read_bytes()
    chs = b"\xfe\xff\xff"
    entry = struct.pack("<B3sB3sII", 0x80, chs, 0x0E, chs, _START // SECTOR, sectors)
    return code.ljust(440, b"\0") + b"CHRN\0\0" + entry.ljust(64, b"\0") + b"\x55\xaa"


def _run(tools: Path, command: list[str]) -> None:
    path = f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"
    # The fixed date makes builds repeatable; the check that is skipped is of disk geometry.
    fixed = {"PATH": path, "SOURCE_DATE_EPOCH": "1577836800", "MTOOLS_SKIP_CHECK": "1", "TZ": "UTC"}
    done = subprocess.run(
        [str(tools / command[0]), *command[1:]],
        env={**os.environ, **fixed},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        raise DemoImageUnavailable(f"{command[0]} failed: {done.stderr.strip()}.")
