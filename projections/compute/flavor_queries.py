"""Lists of flavors, a page at a time, in any order that Nova offers."""

from __future__ import annotations

import msgspec
from sqlalchemy import Engine, and_, any_, func, literal, or_, select

from events.compute.flavor import Flavor
from events.state_codec import decode_state
from projections import pages
from projections.compute.flavors import FLAVORS

F = FLAVORS.c

SORT_KEYS = {
    "created_at": F.created_at,
    "description": F.description,
    "disabled": F.disabled,
    "ephemeral_gb": F.ephemeral_gib,
    "flavorid": F.id,
    "id": F.id,
    "is_public": F.is_public,
    "memory_mb": F.ram_mib,
    "name": F.name,
    "root_gb": F.root_gib,
    "rxtx_factor": F.rxtx_factor,
    "swap": F.swap_mib,
    "updated_at": F.updated_at,
    "vcpu_weight": F.id,
    "vcpus": F.vcpus,
}
"""By Nova's name. ``vcpu_weight`` is never set, so it leaves the order to the id."""


class FlavorQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which flavors. ``usable_by`` a project (None: any caller may see all), ``is_public`` None:
    both kinds."""

    usable_by: str | None
    is_public: bool | None
    min_ram_mib: int = 0
    min_root_gib: int = 0
    name: str | None = None
    sort_key: str = "flavorid"
    descending: bool = False
    marker: str | None = None
    limit: int = 1000


def list_flavors(engine: Engine, query: FlavorQuery) -> tuple[list[Flavor], bool]:
    """One page, in order, which ends with the flavor that reaches ``PAGE_BYTES``; and whether it is
    full, so that there may be more. Only the flavors of the page are read whole."""
    matching = [~F.deleted, F.ram_mib >= query.min_ram_mib, F.root_gib >= query.min_root_gib]
    if query.usable_by is not None:
        shared = literal(query.usable_by) == any_(F.project_ids)
        matching += [or_(F.is_public, shared), ~F.disabled]
    if query.is_public is not None:
        matching.append(F.is_public == query.is_public)
    if query.name is not None:
        matching.append(F.name == query.name)
    column = SORT_KEYS[query.sort_key]
    order = [column.desc(), F.id.desc()] if query.descending else [column.asc(), F.id.asc()]
    sized = select(F.id, func.octet_length(F.document)).where(and_(*matching)).order_by(*order)
    with engine.connect() as connection:
        rows = [(id, size) for id, size in connection.execute(sized)]
        ids = [id for id, _ in rows]
        start = ids.index(query.marker) + 1 if query.marker in ids else 0
        chosen, size = list[str](), 0
        for id, bytes_ in rows[start : start + query.limit]:
            if size >= pages.PAGE_BYTES:
                break
            chosen.append(id)
            size += bytes_
        states = select(F.id, F.state).where(F.id.in_(chosen))
        by_id = {row.id: row.state for row in connection.execute(states)}
    found = [decode_state(by_id[id], Flavor) for id in chosen if id in by_id]
    return found, len(chosen) >= query.limit or size >= pages.PAGE_BYTES
