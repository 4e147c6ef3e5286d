"""Hypervisors as ``os-hypervisors`` shows them: list, show, statistics, uptime.

``HypervisorRow.document`` has the fields of all microversions (see ``hosts.document``); the API
takes those of the version asked for: integer ids before 2.53 from ``number``, ``cpu_info`` as a
string before 2.28, no amounts from 2.88 on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson
from sqlalchemy import ColumnElement, Connection, func, select

from projections.fleet.hosts import HOSTS

H = HOSTS.c
COLUMNS = (H.id, H.number, H.node_id, H.booted_at, H.up, H.document)
_SECOND = 1_000_000


class HypervisorRow(msgspec.Struct, frozen=True):
    """A hypervisor as found: its host's name, both ids, its body."""

    host: str
    number: int
    node_id: str
    booted_at: int | None
    up: bool
    document: dict[str, Any]


class UnknownMarker(Exception):
    """No hypervisor has the marker's id."""


def list_hypervisors(
    connection: Connection,
    *,
    hostname_pattern: str | None = None,
    marker: str | None = None,
    limit: int | None = None,
) -> list[HypervisorRow]:
    """Hypervisors by number; those whose name contains ``hostname_pattern`` if it is given, those
    after ``marker`` (a uuid or number), at most ``limit``. Raises ``UnknownMarker``."""
    statement = select(*COLUMNS).where(~H.deleted).order_by(H.number).limit(limit)
    if hostname_pattern is not None:
        statement = statement.where(H.hostname.contains(hostname_pattern, autoescape=True))
    if marker is not None:
        after = find_hypervisor(connection, marker)
        if after is None:
            raise UnknownMarker(f"marker [{marker}] not found")
        statement = statement.where(H.number > after.number)
    return [_hypervisor(one) for one in connection.execute(statement)]


def find_hypervisor(connection: Connection, id: str) -> HypervisorRow | None:
    """The one with that uuid or number."""
    one = connection.execute(select(*COLUMNS).where(~H.deleted, _named(id))).first()
    return None if one is None else _hypervisor(one)


def hypervisor_of(connection: Connection, host: str) -> HypervisorRow | None:
    """The hypervisor of the host with that name, or with that node name."""
    named = (H.id == host) | (H.hostname == host)
    one = connection.execute(select(*COLUMNS).where(~H.deleted, named)).first()
    return None if one is None else _hypervisor(one)


def _named(id: str) -> ColumnElement[bool]:
    if id.isdecimal() and len(id) < 19:
        return H.number == int(id)
    return H.node_id == id


def _hypervisor(one: Sequence[Any]) -> HypervisorRow:
    host, number, node_id, booted_at, up, document = one
    return HypervisorRow(host, number, node_id, booted_at, up, orjson.loads(document))


def statistics(connection: Connection) -> dict[str, int]:
    """Sums over all hosts that are part of the fleet (``os-hypervisors/statistics``)."""
    sums = {
        name: func.coalesce(func.sum(column), 0)
        for name, column in (
            ("vcpus", H.vcpus),
            ("vcpus_used", H.vcpus_used),
            ("memory_mb", H.memory_mb),
            ("memory_mb_used", H.memory_mb_used),
            ("local_gb", H.local_gb),
            ("local_gb_used", H.local_gb_used),
            ("free_ram_mb", H.memory_mb - H.memory_mb_used),
            ("free_disk_gb", H.local_gb - H.local_gb_used),
            ("disk_available_least", H.disk_available_least),
            ("running_vms", H.servers),
        )
    }
    counted = select(func.count().label("count"), *(s.label(n) for n, s in sums.items()))
    found = connection.execute(counted.where(~H.deleted)).one()
    return {name: int(value) for name, value in found._mapping.items()} | {"current_workload": 0}


def uptime(row: HypervisorRow, now: int) -> str | None:
    """How long the host has been up, in the form of uptime(1) without the load; None when it is
    unknown. ``now``: microseconds since 1970."""
    if row.booted_at is None or not row.up:
        return None
    minutes = max(0, now - row.booted_at) // (60 * _SECOND)
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    since = f"{days} day{'' if days == 1 else 's'}, " if days else ""
    clock = now // _SECOND % 86400
    return (
        f" {clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02} up {since}{hours}:{minutes:02}"
    )
