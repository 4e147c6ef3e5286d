"""Small images made by their formats' specifications, whole or wrong on purpose."""

from __future__ import annotations

import struct


def qcow2(
    size: int = 1 << 20, backing_file_offset: int = 0, features: int = 0, version: int = 3
) -> bytes:
    """A qcow2 header (docs/interop/qcow2.txt of QEMU) and some clusters."""
    header = struct.pack(">4sIQIIQ", b"QFI\xfb", version, backing_file_offset, 0, 16, size)
    header += b"\0" * (0x48 - len(header)) + struct.pack(">Q", features)
    return header + b"\0" * (65536 - len(header))


def vdi(size: int = 1 << 20) -> bytes:
    """A VirtualBox disk image's header."""
    header = bytearray(1024)
    struct.pack_into("<I", header, 0x40, 0xBEDA107F)
    struct.pack_into("<Q", header, 0x170, size)
    return bytes(header)


def mbr() -> bytes:
    """A boot sector with one Linux partition."""
    sector = bytearray(512)
    struct.pack_into("<B3BB3BII", sector, 446, 0x80, 0, 1, 1, 0x83, 0, 1, 1, 2048, 4096)
    sector[510:512] = b"\x55\xaa"
    return bytes(sector)


def iso() -> bytes:
    """An empty ISO 9660 file system: its first volume descriptor (ECMA-119, 8.4)."""
    data = bytearray(64 * 1024)
    data[0x8000:0x8006] = b"\x01CD001"
    data[0x8006] = 1
    struct.pack_into("<I", data, 0x8000 + 80, 32)
    struct.pack_into("<H", data, 0x8000 + 128, 2048)
    return bytes(data)
