"""What servers of one request are called, and the host names that follow from it.

Source: Nova's rules for host names (administrator's guide, "metadata", and RFC 952/1123).
"""

from __future__ import annotations

import re

HOSTNAME_CHARS_MAX = 63


def numbered(name: str, index: int, count: int) -> str:
    """The name itself, or ``<name>-<n>`` (n from 1) when several are made."""
    return name if count == 1 else f"{name}-{index + 1}"


def hostname_of(name: str, server_id: str) -> str:
    """A valid host name made from a display name; ``Server-<id>`` when nothing of it is left."""
    text = name.encode("latin-1", "ignore").decode("latin-1")[:HOSTNAME_CHARS_MAX]
    text = re.sub(r"[ _.]", "-", text)
    text = re.sub(r"[^\w.-]+", "", text, flags=re.ASCII)
    return text.lower().strip(".-") or f"Server-{server_id}"


def hostnames(name: str, server_ids: list[str]) -> list[str]:
    """A host name for each server, in order."""
    if len(server_ids) == 1:
        return [hostname_of(name, server_ids[0])]
    return [
        f"{hostname_of(name, server_id)}-{i + 1}"
        if hostname_of(name, "") != "Server-"
        else hostname_of("", server_id)
        for i, server_id in enumerate(server_ids)
    ]
