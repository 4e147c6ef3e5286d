"""What the compute API must know of hosts: which there are, how they do, which zones they make."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Engine, select

from api.services import Services
from projections.fleet import services as listed
from projections.fleet.hosts import HOSTS
from projections.fleet.zones import compute_zones

H = HOSTS.c

STATUSES = "SELECT id, forced_down, disabled, up FROM hosts WHERE id = ANY(%s)"
"""Straight to the driver: every view for an admin asks it."""


def host_statuses(engine: Engine, names: Collection[str]) -> dict[str, str]:
    """Nova's host_status of each of these hosts."""
    if not names:
        return {}
    with engine.connect() as connection:
        found = connection.exec_driver_sql(STATUSES, (sorted(names),))
        return {host: _status(forced, disabled, up) for host, forced, disabled, up in found.all()}


def _status(forced_down: bool, disabled: bool, up: bool) -> str:
    if forced_down:
        return "DOWN"
    if disabled:
        return "MAINTENANCE"
    return "UP" if up else "UNKNOWN"


def is_host(engine: Engine, name: str) -> bool:
    """Whether there is such a host."""
    statement = select(H.id).where(H.id == name, ~H.deleted)
    with engine.connect() as connection:
        return connection.execute(statement).first() is not None


def host_keys(engine: Engine, names: Collection[str]) -> dict[str, str]:
    """The public key (hex) with which each of these hosts came, as far as they have one."""
    statement = select(H.id, H.public_key).where(H.id.in_(names), ~H.deleted, H.public_key != "")
    with engine.connect() as connection:
        return {row.id: row.public_key for row in connection.execute(statement).all()}


def host_key(engine: Engine, name: str) -> str:
    """The public key (hex) that a host came with; empty when there is no such host."""
    statement = select(H.public_key).where(H.id == name, ~H.deleted)
    with engine.connect() as connection:
        found: str | None = connection.execute(statement).scalar()
    return found or ""


def host_of_node(engine: Engine, node: str) -> str | None:
    """The host whose hypervisor has that name."""
    statement = select(H.id).where(H.hostname == node, ~H.deleted)
    with engine.connect() as connection:
        found: str | None = connection.execute(statement).scalar()
    return found


def heard_since(services: Services) -> int:
    """Microseconds since 1970: a service that was not heard since then is down here."""
    return listed.heard_since(services.settings.service_down_time_s)


def available_zones(services: Services) -> set[str]:
    """Zones with at least one enabled host that is up."""
    with services.engine.connect() as connection:
        zones = compute_zones(connection, heard_since(services))
    return {zone.name for zone in zones if zone.available}
