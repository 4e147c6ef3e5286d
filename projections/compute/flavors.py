"""Flavors as rows. A deleted flavor stays as a row until its id is used again."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Engine,
    Float,
    Index,
    Integer,
    Text,
    bindparam,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from events.compute.flavor import Flavor
from events.state_codec import decode_state
from projections.table import Row, project, projected_table

VERSION = 1

FLAVORS = projected_table(
    "flavors",
    Column("name", Text, nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("ram_mib", Integer, nullable=False),
    Column("root_gib", Integer, nullable=False),
    Column("ephemeral_gib", Integer, nullable=False),
    Column("swap_mib", Integer, nullable=False),
    Column("rxtx_factor", Float, nullable=False),
    Column("is_public", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("description", Text),
    Column("project_ids", ARRAY(Text), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger),
    Column("deleted", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Index("flavors_by_name", "name"),
)


def row(state: Flavor) -> Row:
    """The row of a flavor."""
    flavor = state.flavor
    return {
        "name": flavor.name,
        "vcpus": flavor.vcpus,
        "ram_mib": flavor.ram_mib,
        "root_gib": flavor.root_gib,
        "ephemeral_gib": flavor.ephemeral_gib,
        "swap_mib": flavor.swap_mib,
        "rxtx_factor": flavor.rxtx_factor,
        "is_public": flavor.is_public,
        "disabled": flavor.disabled,
        "description": flavor.description,
        "project_ids": list(state.project_ids),
        "created_at": state.created_at,
        "updated_at": state.updated_at,
        "deleted": state.deleted,
        "document": orjson.dumps(document(state)).decode(),
    }


def document(state: Flavor) -> dict[str, Any]:
    """The flavor's body with the fields of all microversions, no links; swap 0 is the number."""
    flavor = state.flavor
    return {
        "id": flavor.flavor_id,
        "name": flavor.name,
        "ram": flavor.ram_mib,
        "disk": flavor.root_gib,
        "vcpus": flavor.vcpus,
        "swap": flavor.swap_mib,
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral_gib,
        "OS-FLV-DISABLED:disabled": flavor.disabled,
        "os-flavor-access:is_public": flavor.is_public,
        "rxtx_factor": flavor.rxtx_factor,
        "description": flavor.description,
        "extra_specs": flavor.extra_specs,
    }


_BY_ID = select(FLAVORS.c.state).where(FLAVORS.c.id == bindparam("id"), ~FLAVORS.c.deleted)
"""Made once: each boot asks, and making it costs as much as running it."""


def find_flavor(engine: Engine, flavor_id: str) -> Flavor | None:
    """The flavor of that id, whoever may use it."""
    with engine.connect() as connection:
        state = connection.execute(_BY_ID, {"id": flavor_id}).scalar()
    return None if state is None else decode_state(state, Flavor)


def usable_by(flavor: Flavor, project_id: str, admin: bool = False) -> bool:
    """Whether servers of that project may have it: public, shared with it, or asked by an admin."""
    return flavor.flavor.is_public or admin or project_id in flavor.project_ids


project("flavor", FLAVORS, row, VERSION)
