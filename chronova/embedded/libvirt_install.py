"""Have libvirtd, QEMU and libvirt-python installed, by apt and pip, saying first what is fetched.

Only what is missing is installed; a machine where that is impossible gets a `LibvirtMissing` with
the reason, and is left as it was. Interrupted installs are apt's and pip's to take up again.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path

APT_TIMEOUT_S = 900
PIP_TIMEOUT_S = 600

_QEMU_PACKAGE = {"x86_64": "qemu-system-x86", "aarch64": "qemu-system-arm"}


class LibvirtMissing(Exception):
    """This machine has no libvirt and cannot get one; the text says why, in one sentence."""


def install(say: Callable[[str], None]) -> None:
    """Install what is missing of the hypervisor's programs and of libvirt-python."""
    packages = missing_packages()
    if packages:
        _apt_install(packages, say)
    if importlib.util.find_spec("libvirt") is None:
        _pip_install_libvirt_python(say)


def missing_packages() -> list[str]:
    """The Debian packages whose programs are not found here."""
    machine = platform.machine()
    qemu = _QEMU_PACKAGE.get(machine)
    if qemu is None:
        raise LibvirtMissing(f"There is no known QEMU package for a {machine} machine.")
    wanted = {
        qemu: f"qemu-system-{machine}",
        "qemu-utils": "qemu-img",
        "libvirt-daemon-system": "libvirtd",
        "libvirt-clients": "virsh",
    }
    missing = [package for package, program in wanted.items() if which(program) is None]
    if importlib.util.find_spec("libvirt") is None:
        missing += _missing_build_packages()
    return missing


def which(program: str) -> str | None:
    """The program's path, also where an ordinary user's PATH lacks the sbin folders."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def privileged(command: Sequence[str]) -> list[str] | None:
    """The command as root runs it, by sudo if need be; None when neither is possible."""
    if os.geteuid() == 0:
        return list(command)
    sudo = shutil.which("sudo")
    if sudo is None:
        return None
    asked = subprocess.run([sudo, "-n", "true"], capture_output=True, timeout=20, check=False)
    return [sudo, "-n", *command] if asked.returncode == 0 else None


def _missing_build_packages() -> list[str]:
    missing = [name for name in ("gcc", "pkg-config") if which(name) is None]
    found = (
        missing
        or subprocess.run(["pkg-config", "--exists", "libvirt"], timeout=20, check=False).returncode
    )
    if found:
        missing.append("libvirt-dev")
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        missing.append("python3-dev")
    return missing


def _apt_install(packages: list[str], say: Callable[[str], None]) -> None:
    if which("apt-get") is None:
        raise LibvirtMissing(f"{', '.join(packages)} are missing, and there is no apt-get here.")
    prefix = privileged(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"])
    if prefix is None:
        raise LibvirtMissing(
            f"{', '.join(packages)} are missing; installing them needs root or passwordless sudo."
        )
    say(f"Installing with apt: {' '.join(packages)}")
    options = ["-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"]
    attempt = _run([*prefix, "install", *options, *packages], APT_TIMEOUT_S)
    if attempt.returncode != 0:
        _run([*prefix, "update", "-q"], APT_TIMEOUT_S)
        attempt = _run([*prefix, "install", *options, *packages], APT_TIMEOUT_S)
    if attempt.returncode != 0:
        raise LibvirtMissing(f"apt could not install {', '.join(packages)}: {_last(attempt)}")


def _pip_install_libvirt_python(say: Callable[[str], None]) -> None:
    version = subprocess.run(
        ["pkg-config", "--modversion", "libvirt"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    ).stdout.strip()
    requirement = f"libvirt-python>={version or '9'}"
    say(f"Installing with pip: {requirement} (built here against libvirt {version})")
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    attempt = _run([*command, requirement], PIP_TIMEOUT_S)
    if attempt.returncode != 0:
        raise LibvirtMissing(f"pip could not install {requirement}: {_last(attempt)}")
    importlib.invalidate_caches()


def _run(command: list[str], timeout_s: int) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
            umask=0o022,  # what is installed is for all users
        )
    except subprocess.TimeoutExpired:
        raise LibvirtMissing(f"{command[0]} did not finish within {timeout_s} s.") from None


def _last(attempt: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in attempt.stdout.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {attempt.returncode}"
