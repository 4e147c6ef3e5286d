"""A libvirtd to talk to: the machine's own where it answers, else one installed and started here.

Started by hand (no systemd needed): virtlogd, then libvirtd, with pid files and a configuration of
their own under `<data_dir>/libvirt`, QEMU as root without a security driver. Called twice it finds
what runs. Stopping ends only the processes of those pid files; killed halfway, the next start goes
on from what it finds.
"""

from __future__ import annotations

import grp
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from chronova.embedded.libvirt_install import LibvirtMissing, install, privileged, which

__all__ = ["URI", "LibvirtMissing", "answers", "ensure_libvirt", "stop_libvirt"]

URI = "qemu:///system"
START_TIMEOUT_S = 40
STOP_TIMEOUT_S = 15
GUESTS_TIMEOUT_S = 20.0
VIRSH_TIMEOUT_S = 10
QEMU_CONF = Path("/etc/libvirt/qemu.conf")
GUEST_XMLNS = "urn:chronova:libvirt:1"  # of the metadata that the libvirt driver writes
BEGIN, END = "# begin chronova\n", "# end chronova\n"
QEMU_SETTINGS = (
    'user = "root"\ngroup = "root"\ndynamic_ownership = 0\n'
    'security_driver = "none"\nnamespaces = []\n'
)
_DAEMONS = ("virtlogd", "libvirtd")


def ensure_libvirt(data_dir: Path, say: Callable[[str], None]) -> str:
    """The connection URI of a libvirtd that answers. Raises LibvirtMissing when none can be had."""
    install(say)
    if answers():
        return URI
    if Path("/run/systemd/system").is_dir():
        _start_by_systemd(say)
    else:
        _start_by_hand(data_dir / "libvirt", say)
    return URI


def answers(timeout_s: float = VIRSH_TIMEOUT_S) -> bool:
    """Whether a libvirtd answers, to this user, at `URI`."""
    virsh = which("virsh")
    if virsh is None:
        return False
    try:
        asked = subprocess.run(
            [virsh, "--connect", URI, "version", "--daemon"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def stop_libvirt(data_dir: Path, guests_timeout_s: float = GUESTS_TIMEOUT_S) -> None:
    """End the daemons that `ensure_libvirt` started, if any, and Chronova's guests on them.

    Guests are asked by ACPI and cut off after the time. On a libvirtd that was there before,
    nothing is touched: its guests go on without Chronova.
    """
    folder = data_dir.resolve() / "libvirt"
    if _running(folder / "libvirtd.pid", "libvirtd") is not None:
        _power_off_guests(guests_timeout_s)
    for daemon in reversed(_DAEMONS):
        _end(folder / f"{daemon}.pid", daemon)
    if (folder / "qemu.conf.ours").exists():
        _write_as_root(QEMU_CONF, _without_ours(_read_as_root(QEMU_CONF)))
        (folder / "qemu.conf.ours").unlink()


def _power_off_guests(timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    guests = _our_running_guests()
    for server_id in guests:
        _virsh("shutdown", server_id, "--mode", "acpi")
    while guests and time.monotonic() < until:
        time.sleep(0.2)
        guests = _our_running_guests()
    for server_id in guests:
        _virsh("destroy", server_id)


def _our_running_guests() -> list[str]:
    running = _virsh("list", "--uuid", "--state-running").split()
    return [server_id for server_id in running if _virsh("metadata", server_id, GUEST_XMLNS)]


def _virsh(*arguments: str) -> str:
    """What virsh prints; nothing when it fails (the guest has gone meanwhile)."""
    asked = subprocess.run(
        [which("virsh") or "virsh", "--quiet", "--connect", URI, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=2 * STOP_TIMEOUT_S,
        check=False,
    )
    return asked.stdout.strip() if asked.returncode == 0 else ""


def _start_by_systemd(say: Callable[[str], None]) -> None:
    command = privileged(["systemctl", "start", "virtlogd.socket", "libvirtd.service"])
    if command is None:
        raise LibvirtMissing("libvirtd does not answer, and starting it needs root or sudo.")
    say("Starting libvirtd with systemctl")
    started = subprocess.run(
        command, capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False
    )
    if started.returncode != 0:
        raise LibvirtMissing(f"systemctl could not start libvirtd: {started.stderr.strip()}")
    if not _answers_within(START_TIMEOUT_S):
        raise LibvirtMissing(
            "libvirtd runs but does not answer this user: is the user in the group libvirt?"
        )


def _start_by_hand(folder: Path, say: Callable[[str], None]) -> None:
    if privileged([]) is None:
        raise LibvirtMissing("libvirtd does not run, and starting it needs root or sudo.")
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    (folder / "qemu.conf.ours").touch()
    original = _read_as_root(QEMU_CONF)
    _write_as_root(QEMU_CONF, _without_ours(original) + BEGIN + QEMU_SETTINGS + END)
    group = grp.getgrgid(os.getgid()).gr_name
    conf = folder / "libvirtd.conf"
    conf.write_text(
        f'unix_sock_group = "{group}"\nunix_sock_rw_perms = "0770"\nunix_sock_ro_perms = "0770"\n'
        'auth_unix_rw = "none"\nauth_unix_ro = "none"\n'
    )
    say(f"Starting virtlogd and libvirtd (QEMU as root; a marked block in {QEMU_CONF} says so)")
    _spawn("virtlogd", ["-d", "-p", str(folder / "virtlogd.pid")])
    _spawn("libvirtd", ["-d", "-p", str(folder / "libvirtd.pid"), "-f", str(conf)])
    if not _answers_within(START_TIMEOUT_S):
        raise LibvirtMissing(
            f"libvirtd was started but did not answer within {START_TIMEOUT_S} s; "
            "its log may say why (journal or /var/log/syslog)."
        )


def _spawn(daemon: str, arguments: list[str]) -> None:
    """Start it as a daemon. One that runs already is left alone: it refuses its pid file."""
    program = which(daemon)
    command = privileged([program, *arguments]) if program else None
    if command is None:
        raise LibvirtMissing(f"{daemon} is not installed.")
    subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=START_TIMEOUT_S,
        check=False,
        cwd="/",
        umask=0o022,  # the machine's daemon, and no part of the site
    )


def _answers_within(timeout_s: float) -> bool:
    until = time.monotonic() + timeout_s
    while not answers():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def _end(pid_file: Path, daemon: str) -> None:
    pid = _running(pid_file, daemon)
    if pid is None:
        return
    until = time.monotonic() + STOP_TIMEOUT_S
    _kill(pid, signal.SIGTERM)
    while _running(pid_file, daemon) == pid:
        if time.monotonic() > until:
            _kill(pid, signal.SIGKILL)
            return
        time.sleep(0.05)


def _running(pid_file: Path, daemon: str) -> int | None:
    """The pid in the file, if a process of that name, started with that file, has it."""
    try:
        pid = int(_read_as_root(pid_file))
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    ours = Path(os.fsdecode(arguments[0])).name == daemon and bytes(pid_file.resolve()) in arguments
    return pid if ours else None


def _kill(pid: int, number: signal.Signals) -> None:
    command = privileged(["kill", f"-{number.value}", str(pid)])
    if command is not None:
        subprocess.run(command, capture_output=True, timeout=VIRSH_TIMEOUT_S, check=False)


def _without_ours(text: str) -> str:
    if BEGIN not in text:
        return text
    head, rest = text.split(BEGIN, 1)
    return head + rest.partition(END)[2]


def _read_as_root(path: Path) -> str:
    command = privileged(["cat", str(path)])
    if command is None:
        return path.read_text()
    read = subprocess.run(
        command, capture_output=True, text=True, timeout=VIRSH_TIMEOUT_S, check=False
    )
    return read.stdout


def _write_as_root(path: Path, text: str) -> None:
    command = privileged(["tee", str(path)])
    if command is None:
        raise LibvirtMissing(f"Writing {path} needs root or passwordless sudo.")
    subprocess.run(
        command,
        input=text,
        text=True,
        stdout=subprocess.DEVNULL,
        timeout=VIRSH_TIMEOUT_S,
        check=True,
    )
