"""Which virtualisation to use, decided by trying: a guest has to run within a time.

That /dev/kvm is there, and opens, proves nothing (nested virtualisation may hang a guest, or lack
what the processor model of guests needs), so with the setting `auto` a guest is started
(`libvirt_probe`). The environment variable CHRONOVA_VIRT_TYPE overrides the setting.
When it does not run, software emulation (qemu) is the answer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import structlog

from handlers.compute.drivers.contract import DriverError

ENVIRONMENT = "CHRONOVA_VIRT_TYPE"
CHOICES = ("auto", "qemu", "kvm")
KVM = Path("/dev/kvm")
WORD = b"chronova"
"""What the probe's guest writes to its serial console."""

# 16-bit boot sector: enter protected mode, there loop a million times (so that the guest really
# executes, not only starts), then write WORD to COM1.
_BOOT_CODE = (
    bytes.fromhex(
        "fa"  # cli
        "31c08ed8"  # xor ax, ax; mov ds, ax
        "0f0116507c"  # lgdt [0x7c50]
        "0f20c0"  # mov eax, cr0
        "6683c801"  # or eax, 1
        "0f22c0"  # mov cr0, eax
        "ea197c0800"  # jmp 0x08:0x7c19
        # 32-bit from here, at 0x7c19
        "b940420f00"  # mov ecx, 1_000_000
        "49"  # dec ecx
        "75fd"  # jnz -3
        "66baf803"  # mov dx, 0x3f8
    )
    + b"".join(bytes([0xB0, letter, 0xEE]) for letter in WORD)  # mov al, letter; out dx, al
    + bytes.fromhex(
        "f4"  # hlt
        "ebfd"  # jmp -3
    )
)
_DESCRIPTORS = bytes.fromhex("0000000000000000ffff0000009acf00")  # null, flat 32-bit code
_TABLE_AT, _DESCRIPTORS_AT = 0x50, 0x58

_log = structlog.get_logger(__name__)


def choose_virt_type(setting: str, runs_with_kvm: Callable[[], bool]) -> str:
    """Return qemu or kvm; `runs_with_kvm` is asked only where there is something to try.

    Raises DriverError for a setting that is neither, nor auto.
    """
    wanted = os.environ.get(ENVIRONMENT) or setting
    if wanted not in CHOICES:
        raise DriverError(f"The virt_type {wanted!r} is none of {', '.join(CHOICES)}.")
    if wanted == "auto":
        # Whether this user may open it says nothing: QEMU may run as another one.
        wanted = "kvm" if KVM.exists() and runs_with_kvm() else "qemu"
        _log.info("virt_type", chosen=wanted)
    return wanted


def boot_sector() -> bytes:
    """The probe's whole disk: 512 bytes."""
    sector = bytearray(512)
    sector[: len(_BOOT_CODE)] = _BOOT_CODE
    table = (len(_DESCRIPTORS) - 1).to_bytes(2, "little")
    table += (0x7C00 + _DESCRIPTORS_AT).to_bytes(4, "little")
    sector[_TABLE_AT : _TABLE_AT + len(table)] = table
    sector[_DESCRIPTORS_AT : _DESCRIPTORS_AT + len(_DESCRIPTORS)] = _DESCRIPTORS
    sector[510:] = b"\x55\xaa"
    return bytes(sector)
