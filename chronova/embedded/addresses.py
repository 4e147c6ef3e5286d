"""Where the embedded Postgres and broker of a data folder are reached.

The settings hold the word ``embedded``, never these addresses: they follow the folder, so a folder
can be moved, and a copy of one never reaches what the original runs.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

EMBEDDED = "embedded"
"""In the settings: what this folder runs itself."""

SOCKET_PATH_BYTES_MAX = 100
"""The kernel's limit is 107 bytes; the rest is for Postgres's temporary names."""


def postgres_folder(data: Path) -> Path:
    """Where the embedded Postgres keeps everything."""
    return data / "postgres"


def broker_folder(data: Path) -> Path:
    """Where the development broker keeps everything."""
    return data / "kafka"


def postgres_socket(directory: Path) -> Path:
    """The folder of the socket of the Postgres over ``directory``: in it, or, where that path is
    too long for a socket, one under /tmp whose name follows from the path."""
    folder = directory / "run"
    if len(os.fsencode(folder / ".s.PGSQL.65535")) <= SOCKET_PATH_BYTES_MAX:
        return folder
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    return Path("/tmp") / f"chronova-{name}"


def postgres_url(directory: Path) -> str:
    """Where the Postgres over ``directory`` is reached: its socket."""
    return f"postgresql://postgres@/postgres?host={quote(str(postgres_socket(directory)), safe='')}"


def broker_address(directory: Path) -> str:
    """``host:port`` of the broker over ``directory``; empty if none was ever started there."""
    try:
        lines = (directory / "server.properties").read_text().splitlines()
    except FileNotFoundError:
        return ""
    for line in lines:
        if line.startswith("advertised.listeners="):
            return line.partition("://")[2]
    return ""
