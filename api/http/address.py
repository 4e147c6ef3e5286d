"""Whose an address is: what one client can choose freely counts as one."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address

PREFIX_BYTES = 8
"""Of an IPv6 address: the network that one client is given. It has 2**64 addresses of it."""


@lru_cache(maxsize=4096)
def client_of(address: str) -> str:
    """Return what all addresses of one client have in common: an IPv4 address itself, also one
    that is mapped into IPv6, or the /64 of an IPv6 address. Anything else is returned as it is."""
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(found.packed[:PREFIX_BYTES] + bytes(16 - PREFIX_BYTES))}/64"
