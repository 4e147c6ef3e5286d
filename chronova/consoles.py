"""Consoles of the hosts of this machine: files that libvirt writes, or simulated ones."""

from __future__ import annotations

from pathlib import Path

from api.consoles import ConsoleFiles, NoConsole
from handlers.compute.drivers.simulated_console import recorded_console


class HostConsoles:
    """An ``api.consoles.ConsoleSource`` over the folder that holds the hosts' own."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files = ConsoleFiles(root)

    def read(self, server_id: str, host: str, length: int) -> bytes:
        """The last ``length`` bytes. Raises ``NoConsole``."""
        try:
            return self._files.read(server_id, host, length)
        except NoConsole:
            text = recorded_console(self._root / host, server_id, host)
            if text is None:
                raise
            return text[-length:] if length else b""
