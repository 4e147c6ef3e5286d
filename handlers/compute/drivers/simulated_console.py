"""The serial console of a simulated guest: a few lines, made up from what the host knows of it.

No file holds them: a console is made when somebody asks, by the driver or, from another process,
out of the host's journal. (A file for each guest was measured: on ext4 its folder costs a boot
40 to 350 µs, more than all the rest of a simulated one.)
"""

from __future__ import annotations

from pathlib import Path

from handlers.compute.drivers.simulated_guests import JOURNAL, SimulatedGuest, recorded_guest


def console_text(guest: SimulatedGuest, host: str) -> bytes:
    """What the guest would have printed since its last start; nothing before its first."""
    if guest.boots == 0:
        return b""
    return (
        "[    0.000000] Linux version 0.0.0-simulated\n"
        f"[    0.000000] Memory: {guest.ram_mib * 1024}K available, {guest.vcpus} CPUs\n"
        f"chronova: simulated guest on {host}, boot {guest.boots}\n"
        f"chronova: instance-id {guest.server_id}\n"
        f"chronova: hostname {guest.hostname}\n\n{guest.hostname} login: "
    ).encode()


def recorded_console(folder: Path, server_id: str, host: str) -> bytes | None:
    """The console by the journal in the host's folder, while an agent may be writing it.

    None: the host is no simulated one, or has no such guest.
    """
    guest = recorded_guest(folder / JOURNAL, server_id)
    return console_text(guest, host) if guest is not None and guest.defined else None
