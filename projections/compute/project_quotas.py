"""Each project's quota as a row: the limits that differ from the defaults, and what is in use."""

from __future__ import annotations

import msgspec
import orjson
from sqlalchemy import BigInteger, Column, Engine, Text, select

from events.compute.project import Project
from projections.table import Row, project, projected_table

VERSION = 2

PROJECT_QUOTAS = projected_table(
    "project_quotas",
    Column("limits", Text, nullable=False),
    Column("instances", BigInteger, nullable=False),
    Column("cores", BigInteger, nullable=False),
    Column("ram_mib", BigInteger, nullable=False),
)
Q = PROJECT_QUOTAS.c


def row(state: Project) -> Row:
    """The row of a project."""
    return {
        "limits": orjson.dumps(state.limits).decode(),
        "instances": state.instances,
        "cores": state.cores,
        "ram_mib": state.ram_mib,
    }


class QuotaRow(msgspec.Struct, frozen=True):
    """``limits`` by resource, only those that were set; what is in use, RAM in MiB."""

    limits: dict[str, int] = {}
    instances: int = 0
    cores: int = 0
    ram_mib: int = 0


def find_quota(engine: Engine, project_id: str) -> QuotaRow:
    """A project's quota; of one that has nothing and was never set, the defaults and zeros."""
    statement = select(Q.limits, Q.instances, Q.cores, Q.ram_mib).where(Q.id == project_id)
    with engine.connect() as connection:
        found = connection.execute(statement).first()
    return QuotaRow() if found is None else QuotaRow(orjson.loads(found.limits), *found[1:])


project("project", PROJECT_QUOTAS, row, VERSION)
