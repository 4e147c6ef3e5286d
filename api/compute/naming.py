"""What servers of one request are called, and the host names that follow from it.

Source: Nova's rules for host names (administrator's guide, "metadata", and RFC 952/1123).
"""

from __future__ import annotations

import re

from events.bounds import NAME_CHARS_MAX

HOSTNAME_CHARS_MAX = 63


def _suffixed(name: str, suffix: str, chars_max: int) -> str:
    return name[: chars_max - len(suffix)].rstrip("-. ") + suffix


def numbered(name: str, index: int, count: int) -> str:
    """The name itself, or ``<name>-<n>`` (n from 1) when several are made; the name is cut where
    the number would make it too long."""
    return name if count == 1 else _suffixed(name, f"-{index + 1}", NAME_CHARS_MAX)


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
        _suffixed(hostname_of(name, server_id), f"-{i + 1}", HOSTNAME_CHARS_MAX)
        if hostname_of(name, "") != "Server-"
        else hostname_of("", server_id)
        for i, server_id in enumerate(server_ids)
    ]
