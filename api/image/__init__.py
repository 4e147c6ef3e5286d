"""The image service: Glance's API, version 2."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api.image import actions, direct, file, images, importing, members, schemas, tags, versions
from api.image.means import Means
from api.image.rendering import render_error
from api.services import Services

__all__ = ["render_error", "routes"]


def routes(services: Services) -> Iterable[tuple[str, Any]]:
    """Paths relative to ``/image`` and their resources."""
    means = Means(services)
    image = "/v2/images/{image_id}"
    return [
        ("", versions.Versions(means, 300)),
        ("/versions", versions.Versions(means, 200)),
        ("/{version}", versions.Versions(means, 300)),
        ("/v2", versions.NoDocument()),
        ("/healthcheck", versions.Healthcheck()),
        ("/v2/images", images.Images(means)),
        (image, images.Image(means)),
        (f"{image}/file", file.File(means)),
        (f"{image}/stage", file.Stage(means)),
        (f"{image}/import", importing.Import(means)),
        (f"{image}/tasks", importing.Tasks(means)),
        (f"{image}/actions/{{action}}", actions.Actions(means)),
        (f"{image}/tags/{{tag}}", tags.Tag(means)),
        (f"{image}/members", members.Members(means)),
        (f"{image}/members/{{member_id}}", members.Member(means)),
        ("/v2/direct/{sha512}", direct.Direct(means)),
        ("/v2/info/import", importing.ImportMethods()),
        ("/v2/info/usage", importing.Usage()),
        ("/v2/schemas/{schema}", schemas.Schemas()),
    ]
