"""Hosts with keys, and a process that believes only them (``events.host_proof``)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from chronova.host_keys import HostKey, verify
from events.host_proof import SITE, HostProofs, report_key
from events.log.contract import Outgoing, Record

MASTER = b"m" * 32


def own_key(host: str, machine: int = 1) -> HostKey:
    """The identity key of a host; another one for each ``machine`` of that name."""
    return HostKey(hashlib.sha256(f"{host} {machine}".encode()).digest())


def proofs_of(*hosts: str, machine: int = 1) -> HostProofs:
    """What the agent of these hosts proves its records with."""
    keys = {host: own_key(host, machine) for host in hosts}
    given = {host: report_key(MASTER, host, key.public) for host, key in keys.items()}
    return HostProofs(keys, given)


@contextmanager
def checked() -> Iterator[list[tuple[str, str]]]:
    """This process has the master key meanwhile; topics and reasons of what it did not believe."""
    refused: list[tuple[str, str]] = []
    SITE.use(MASTER, verify, lambda record, reason: refused.append((record.topic, reason)))
    try:
        yield refused
    finally:
        SITE.forget()


def taken(records: Iterable[Outgoing]) -> list[Record]:
    """These records as a log gives them."""
    return [Record(r.topic, 0, n, n, r.key, r.value, r.headers) for n, r in enumerate(records)]
