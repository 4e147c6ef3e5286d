"""The table of images. Deleted images keep their row: an id is never used twice, and the image
store removes data only of images that are known to be deleted.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Text
from sqlalchemy.dialects.postgresql import JSONB

from projections.table import projected_table

C = "C"
"""Names sort by code point, everywhere the same, and page keys compare as they sort."""

images = projected_table(
    "images",
    Column("project_id", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("name", Text(collation=C)),
    Column("status", Text(collation=C), nullable=False),
    Column("visibility", Text, nullable=False),
    Column("protected", Boolean, nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("disk_format", Text(collation=C)),
    Column("container_format", Text(collation=C)),
    Column("min_disk_gib", BigInteger, nullable=False),
    Column("min_ram_mib", BigInteger, nullable=False),
    Column("size_bytes", BigInteger),
    Column("virtual_size_bytes", BigInteger),
    Column("sha512", Text),
    Column("md5", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("tags", JSONB, nullable=False),
    Column("properties", JSONB, nullable=False),
    Column("members", JSONB, nullable=False),
    Column("document", Text, nullable=False),
    Index("images_by_age", "created_at", "id"),
    Index("images_by_owner", "owner", "created_at", "id"),
    Index("images_by_name", "name"),
    Index("images_by_tag", "tags", postgresql_using="gin"),
    Index("images_by_property", "properties", postgresql_using="gin"),
    Index("images_by_member", "members", postgresql_using="gin"),
)
"""Times in microseconds since 1970. ``members``: {project: {status, created_at, updated_at}}."""
