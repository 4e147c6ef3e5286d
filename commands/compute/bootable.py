"""Which images a server can boot from."""

from __future__ import annotations

ISO = "iso"
"""Booted as an optical drive; there is then no other root disk, as in Nova."""

BOOTABLE_FORMATS = frozenset({"raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", ISO})
"""Disk formats that hosts boot. The others are parts of a guest (aki, ari, ami) or unknown here."""
