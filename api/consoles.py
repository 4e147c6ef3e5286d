"""Where consoles of servers are read. They are big and no facts: hosts keep them beside the log."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class NoConsole(LookupError):
    """There is no console log of that server."""


class ConsoleSource(Protocol):
    """Where console logs are read. No source is asked for a server that has no host."""

    def read(self, server_id: str, host: str, length: int) -> bytes:
        """The last ``length`` bytes. Raises ``NoConsole``."""


class ConsoleFiles:
    """Console logs in ``<root>/<host>/<server id>/console.log``, on this machine or a share."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, server_id: str, host: str, length: int) -> bytes:
        """The last ``length`` bytes. Raises ``NoConsole``."""
        try:
            with (self._root / host / server_id / "console.log").open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - length))
                return file.read(length)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            raise NoConsole(server_id) from None
