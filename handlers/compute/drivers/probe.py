"""Which virtualisation to use, decided by trying: a tiny guest has to boot within a time.

That /dev/kvm opens proves nothing (nested virtualisation may hang a guest on it), so with the
setting `auto` a guest is booted. The environment variable CHRONOVA_VIRT_TYPE overrides the setting.
A guest that hangs is killed; then software emulation (qemu) is the answer.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from handlers.compute.drivers.contract import DriverError

ENVIRONMENT = "CHRONOVA_VIRT_TYPE"
CHOICES = ("auto", "qemu", "kvm")
KVM = Path("/dev/kvm")
BOOT_TIMEOUT_S = 10.0
KILL_TIMEOUT_S = 5.0
BOOTED = 0x21  # what the guest writes to isa-debug-exit; QEMU then ends with 2 * it + 1

# 16-bit boot sector: enter protected mode, there loop a million times (so that the guest really
# executes, not only starts), then write BOOTED to port 0xf4.
_BOOT_CODE = bytes.fromhex(
    "fa"  # cli
    "31c08ed8"  # xor ax, ax; mov ds, ax
    "0f0116307c"  # lgdt [0x7c30]
    "0f20c0"  # mov eax, cr0
    "6683c801"  # or eax, 1
    "0f22c0"  # mov cr0, eax
    "ea197c0800"  # jmp 0x08:0x7c19
    # 32-bit from here, at 0x7c19
    "b940420f00"  # mov ecx, 1_000_000
    "49"  # dec ecx
    "75fd"  # jnz -3
    "b021"  # mov al, BOOTED
    "e6f4"  # out 0xf4, al
    "f4"  # hlt
    "ebfd"  # jmp -3
)
_DESCRIPTORS = bytes.fromhex("0000000000000000ffff0000009acf00")  # null, flat 32-bit code
_TABLE_AT, _DESCRIPTORS_AT = 0x30, 0x38


def choose_virt_type(setting: str, timeout_s: float = BOOT_TIMEOUT_S) -> str:
    """qemu or kvm. Raises DriverError for a setting that is neither, nor auto."""
    wanted = os.environ.get(ENVIRONMENT) or setting
    if wanted not in CHOICES:
        raise DriverError(f"The virt_type {wanted!r} is none of {', '.join(CHOICES)}.")
    if wanted != "auto":
        return wanted
    if not os.access(KVM, os.R_OK | os.W_OK):
        return "qemu"
    return "kvm" if boots("kvm", timeout_s) else "qemu"


def boots(accelerator: str, timeout_s: float = BOOT_TIMEOUT_S) -> bool:
    """Whether a guest runs to its end with QEMU's accelerator (kvm or tcg) within the time."""
    program = shutil.which(f"qemu-system-{platform.machine()}")
    if program is None or platform.machine() != "x86_64":
        return False
    with tempfile.TemporaryDirectory(prefix="chronova-probe-") as folder:
        disk = Path(folder, "disk")
        disk.write_bytes(boot_sector())
        command = [program, "-accel", accelerator, "-m", "16", "-display", "none", "-nodefaults"]
        command += ["-no-reboot", "-drive", f"file={disk},format=raw,if=ide"]
        command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
        guest = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return guest.wait(timeout_s) == 2 * BOOTED + 1
        except subprocess.TimeoutExpired:
            guest.kill()
            return False
        finally:
            _reap(guest)


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


def _reap(guest: subprocess.Popen[bytes]) -> None:
    """A process stuck in the kernel cannot be reaped: it is left, after a while."""
    try:
        guest.wait(KILL_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return
