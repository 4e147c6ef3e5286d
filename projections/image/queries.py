"""Reading images: one by its id, or a page of those that pass a filter.

Visible is what the caller owns, what is public or community, and what is shared with his project;
an administrator sees everything. Deleted images are invisible to all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    false,
    func,
    or_,
    select,
    true,
)

from events.image.image import DELETED, UPLOADING
from projections.image.tables import images
from projections.pages import page_of

SECOND = 1_000_000

SORT_KEYS: dict[str, ColumnElement[Any]] = {
    "name": func.coalesce(images.c.name, ""),
    "status": images.c.status,
    "container_format": func.coalesce(images.c.container_format, ""),
    "disk_format": func.coalesce(images.c.disk_format, ""),
    "size": func.coalesce(images.c.size_bytes, -1),
    "id": images.c.id,
    "created_at": images.c.created_at,
    "updated_at": images.c.updated_at,
}
"""What a list can be sorted by; what is null counts as least."""

EQUAL_KEYS: dict[str, ColumnElement[Any]] = {
    "id": images.c.id,
    "name": images.c.name,
    "status": images.c.status,
    "owner": images.c.owner,
    "container_format": images.c.container_format,
    "disk_format": images.c.disk_format,
    "checksum": images.c.md5,
    "os_hash_value": images.c.sha512,
    "min_disk": images.c.min_disk_gib,
    "min_ram": images.c.min_ram_mib,
    "protected": images.c.protected,
}
"""Filters that compare with one of several values."""


class UnknownMarker(Exception):
    """The marker names no image that the caller can see."""


class ImageRow(msgspec.Struct, frozen=True, kw_only=True):
    """An image as other services need it. Sizes in bytes, None before the data is there;
    ``project_id`` owned the image first; ``members`` maps projects to
    ``{"status", "created_at", "updated_at"}``; ``document`` is the API's JSON."""

    id: str
    project_id: str
    owner: str
    name: str | None
    status: str
    visibility: str
    protected: bool
    hidden: bool
    disk_format: str | None
    container_format: str | None
    min_disk_gib: int
    min_ram_mib: int
    size_bytes: int | None
    virtual_size_bytes: int | None
    sha512: str | None
    md5: str | None
    created_at: int
    updated_at: int
    tags: list[str]
    properties: dict[str, str]
    members: dict[str, dict[str, Any]]
    document: str


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which images a list is to show.

    ``visibility`` None: all but other projects' community images; ``all``: those too.
    ``member_status``: which of the shared images (``all``: any). ``times``: (created_at or
    updated_at, comparison, seconds since 1970).
    """

    caller_project: str | None
    is_admin: bool
    visibility: str | None = None
    member_status: str = "accepted"
    hidden: bool = False
    equal: Mapping[str, Sequence[Any]] = {}
    size_min: int | None = None
    size_max: int | None = None
    tags: Sequence[str] = ()
    properties: Mapping[str, str] = {}
    times: Sequence[tuple[str, str, int]] = ()


Sort = Sequence[tuple[str, bool]]
"""Keys of ``SORT_KEYS``, each with True for descending. The last one must be ``id``."""

_COLUMNS = [images.c[name] for name in ImageRow.__struct_fields__]

_BY_ID = select(*_COLUMNS).where(images.c.id == bindparam("id"))
"""Made once: each boot asks, and making it costs as much as running it."""


def find_image(
    connection: Connection, image_id: str, caller_project: str | None, is_admin: bool
) -> ImageRow | None:
    """The image, if the caller can see it: by its id every one that is not private to others,
    and shared ones however their share was answered."""
    found = connection.execute(_BY_ID, {"id": image_id}).one_or_none()
    if found is None:
        return None
    image = ImageRow(**found._mapping)
    if image.status == DELETED:
        return None
    visible = (
        is_admin
        or (caller_project is not None and image.owner == caller_project)
        or image.visibility in ("public", "community")
        or (image.visibility == "shared" and caller_project in image.members)
    )
    return image if visible else None


def deleted_among(connection: Connection, ids: Collection[str]) -> set[str]:
    """Those of ``ids`` that are known to be deleted."""
    query = select(images.c.id).where(images.c.id.in_(ids), images.c.status == DELETED)
    return set(connection.execute(query).scalars())


def bytes_of(connection: Connection, owner: str) -> tuple[int, Sequence[str]]:
    """Return the bytes of all data of a project's images, and the ids of those that have data only
    staged, whose size is not counted."""
    theirs = and_(images.c.owner == owner, images.c.status != DELETED)
    total = select(func.coalesce(func.sum(images.c.size_bytes), 0)).where(theirs)
    staged = select(images.c.id).where(theirs, images.c.status == UPLOADING)
    return (
        int(connection.execute(total).scalar_one()),
        connection.execute(staged).scalars().all(),
    )


def list_images(
    connection: Connection, wanted: Filter, sort: Sort, limit: int, marker: str | None = None
) -> Sequence[tuple[str, str]]:
    """Id and document of the next images after ``marker``: ``limit``, or as many as ``PAGE_BYTES``
    have room for. Raises ``UnknownMarker``."""
    matching = and_(images.c.status != DELETED, _visible(wanted), _filtered(wanted))
    if marker is not None:
        matching = and_(matching, _after(connection, wanted, sort, marker))
    found = select(images.c.id, images.c.document).where(matching)
    query = page_of(found, [(SORT_KEYS[key], down) for key, down in sort], limit)
    return [(id, document) for id, document in connection.execute(query)]


def _visible(wanted: Filter) -> ColumnElement[bool]:
    project = wanted.caller_project
    own = images.c.owner == project if project is not None else false()
    kind = (
        true() if wanted.visibility in (None, "all") else images.c.visibility == wanted.visibility
    )
    if wanted.is_admin:
        return kind
    seen = [own, images.c.visibility == "public", _shared_with(project, wanted.member_status)]
    if wanted.visibility in ("all", "community"):
        seen.append(images.c.visibility == "community")
    return and_(kind, or_(*seen))


def _shared_with(project: str | None, status: str) -> ColumnElement[bool]:
    if project is None:
        return false()
    member: dict[str, str] = {} if status == "all" else {"status": status}
    return and_(images.c.visibility == "shared", images.c.members.contains({project: member}))


def _filtered(wanted: Filter) -> ColumnElement[bool]:
    terms: list[ColumnElement[bool]] = [images.c.hidden == wanted.hidden]
    terms += [EQUAL_KEYS[key].in_(values) for key, values in wanted.equal.items()]
    if wanted.size_min is not None:
        terms.append(images.c.size_bytes >= wanted.size_min)
    if wanted.size_max is not None:
        terms.append(images.c.size_bytes <= wanted.size_max)
    if wanted.tags:
        terms.append(images.c.tags.contains(list(wanted.tags)))
    if wanted.properties:
        terms.append(images.c.properties.contains(dict(wanted.properties)))
    terms += [_at(images.c[key], comparison, seconds) for key, comparison, seconds in wanted.times]
    return and_(*terms)


def _at(column: ColumnElement[Any], comparison: str, seconds: int) -> ColumnElement[bool]:
    """Compare as the API shows times: by whole seconds."""
    first, after = seconds * SECOND, (seconds + 1) * SECOND
    terms: dict[str, ColumnElement[bool]] = {
        "gt": column >= after,
        "gte": column >= first,
        "lt": column < first,
        "lte": column < after,
        "eq": and_(column >= first, column < after),
        "neq": or_(column < first, column >= after),
    }
    return terms[comparison]


def _after(connection: Connection, wanted: Filter, sort: Sort, marker: str) -> ColumnElement[bool]:
    if find_image(connection, marker, wanted.caller_project, wanted.is_admin) is None:
        raise UnknownMarker(marker)
    keys = select(*(SORT_KEYS[key] for key, _ in sort)).where(images.c.id == marker)
    values = connection.execute(keys).one()
    ways: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for (key, down), value in zip(sort, values, strict=True):
        column = SORT_KEYS[key]
        ways.append(and_(*equal, column < value if down else column > value))
        equal.append(column == value)
    return or_(*ways)
