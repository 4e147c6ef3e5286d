"""An image's state as its row and as the document that the API answers with.

Source of the document: Glance API reference, "Show image"; every base key is there, null when
it is not known.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from events.image.image import Image
from projections.image.tables import images
from projections.table import Row, project

SECOND = 1_000_000


def timestamp(instant: int) -> str:
    """Microseconds since 1970 as Glance writes times: whole seconds."""
    return f"{datetime.fromtimestamp(instant // SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"


def document(image: Image) -> dict[str, object]:
    """The image as the API shows it. Additional properties stand beside the base keys."""
    content = image.content
    path = f"/v2/images/{image.image_id}"
    return image.properties | {
        "id": image.image_id,
        "name": image.name,
        "status": image.status,
        "visibility": image.visibility,
        "protected": image.protected,
        "os_hidden": image.hidden,
        "owner": image.owner,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "min_disk": image.min_disk_gib,
        "min_ram": image.min_ram_mib,
        "size": content.size if content else None,
        "virtual_size": content.virtual_size if content else None,
        "checksum": content.md5 if content else None,
        "os_hash_algo": "sha512" if content else None,
        "os_hash_value": content.sha512 if content else None,
        "tags": list(image.tags),
        "created_at": timestamp(image.created_at),
        "updated_at": timestamp(image.updated_at),
        "self": path,
        "file": f"{path}/file",
        "schema": "/v2/schemas/image",
    }


def row(image: Image) -> Row:
    """The table's columns."""
    content = image.content
    return {
        "project_id": image.project_id,
        "owner": image.owner,
        "name": image.name,
        "status": image.status,
        "visibility": image.visibility,
        "protected": image.protected,
        "hidden": image.hidden,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "min_disk_gib": image.min_disk_gib,
        "min_ram_mib": image.min_ram_mib,
        "size_bytes": content.size if content else None,
        "virtual_size_bytes": content.virtual_size if content else None,
        "sha512": content.sha512 if content else None,
        "md5": content.md5 if content else None,
        "created_at": image.created_at,
        "updated_at": image.updated_at,
        "tags": list(image.tags),
        "properties": image.properties,
        "members": msgspec.to_builtins(image.members),
        "document": msgspec.json.encode(document(image)).decode(),
    }


project("image", images, row)
