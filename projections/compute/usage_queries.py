"""Which servers ran in a period of time, and how big they were: what usage is summed from."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import JSON, Engine, cast, or_, select, tuple_

from projections.compute.servers import SERVERS

C = SERVERS.c


class UsedServer(msgspec.Struct, frozen=True):
    """A server that ran; times in microseconds since 1970."""

    id: str
    name: str
    project_id: str
    flavor_name: str
    vcpus: int
    ram_mib: int
    disk_gib: int
    launched_at: int
    terminated_at: int | None
    vm_state: str

    def ran(self, begin: int, end: int) -> int:
        """For how long between ``begin`` and ``end``, in microseconds."""
        until = end if self.terminated_at is None else min(end, self.terminated_at)
        return max(0, until - max(begin, self.launched_at))


class UnknownMarker(LookupError):
    """The marker is no server's id."""


def servers_between(
    engine: Engine,
    begin: int,
    end: int,
    *,
    project_id: str | None = None,
    marker: str | None = None,
    limit: int | None = None,
) -> list[UsedServer]:
    """Servers that ran between ``begin`` and ``end``, by project and id, those of one project
    if it is given, those after ``marker``. Raises ``UnknownMarker``."""
    statement = (
        select(
            C.id,
            C.name,
            C.project_id,
            C.vcpus,
            C.ram_mib,
            C.launched_at,
            C.terminated_at,
            C.vm_state,
            cast(C.document, JSON)["flavor"],
        )
        .where(C.launched_at < end, or_(C.terminated_at.is_(None), C.terminated_at > begin))
        .order_by(C.project_id, C.id)
        .limit(limit)
    )
    if project_id is not None:
        statement = statement.where(C.project_id == project_id)
    with engine.connect() as connection:
        if marker is not None:
            known = connection.execute(select(C.project_id).where(C.id == marker)).scalar()
            if known is None or project_id not in (None, known):
                raise UnknownMarker(marker)
            statement = statement.where(tuple_(C.project_id, C.id) > tuple_(known, marker))
        rows = connection.execute(statement).all()
    return [_used(*row) for row in rows]


def _used(
    id: str,
    name: str,
    project_id: str,
    vcpus: int,
    ram_mib: int,
    launched_at: int,
    terminated_at: int | None,
    vm_state: str,
    flavor: dict[str, Any],
) -> UsedServer:
    return UsedServer(
        id=id,
        name=name,
        project_id=project_id,
        flavor_name=flavor["original_name"],
        vcpus=vcpus,
        ram_mib=ram_mib,
        disk_gib=flavor["disk"] + flavor["ephemeral"],
        launched_at=launched_at,
        terminated_at=terminated_at,
        vm_state=vm_state,
    )
