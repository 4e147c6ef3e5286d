"""Images: list, create, show, update, delete."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import falcon
import orjson
import structlog

from api.http.body import read_bytes, read_object
from api.image import policy
from api.image.attributes import check_permission, checked_creation
from api.image.importing import METHODS
from api.image.listing import Listing, listing_of
from api.image.means import Means, caller, is_admin
from api.image.patch import changes_of
from api.image.schemas import WRITABLE
from api.image.store import StoreFailed
from commands.image.create import CreateImage, created
from commands.image.delete import DeleteImage
from commands.image.update import UpdateImage
from events.image.image import evolve
from projections.image.queries import UnknownMarker, find_image, list_images
from projections.image.rows import document
from projections.pages import PAGE_BYTES

BODY_BYTES_MAX = 512 * 1024
"""Twice what all properties of an image may hold together."""

log = structlog.get_logger("api.image")


class Images:
    """``/v2/images``."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of the images that the caller sees and the query asks for."""
        who = caller(req)
        listing = listing_of(
            req.query_string,
            who.project_id,
            is_admin(who),
            self._means.settings.list_items_max,
        )
        resp.content_type = "application/json"
        resp.data = self._page(listing)

    def _page(self, listing: Listing) -> bytes:
        with self._means.services.engine.connect() as connection:
            try:
                found = list_images(
                    connection, listing.filter, listing.sort, listing.limit, listing.marker
                )
            except UnknownMarker:
                raise falcon.HTTPBadRequest(
                    description="Invalid marker. Image could not be found."
                ) from None
        links = {"schema": "/v2/schemas/images", "first": listing.first()}
        shown = ", ".join(shown for _, shown in found).encode()
        if found and (len(found) == listing.limit or len(shown) >= PAGE_BYTES):
            links["next"] = listing.next(found[-1][0])
        return b'{"images": [' + shown + b"], " + orjson.dumps(links)[1:]

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """201: the image, queued. Answers the methods by which its data can be imported."""
        who = caller(req)
        policy.enforce(who, "add_image", who.project_id)
        assert who.project_id is not None, "the rule is for callers with a project"
        body = checked_creation(read_object(req, BODY_BYTES_MAX))
        command = _creation(body, who.project_id)
        for key, value in body.items():
            check_permission(who, key, value or command.owner, who.project_id)
        self._means.send(req, command, command.image_id)
        resp.location = f"{self._means.url}/v2/images/{command.image_id}"
        resp.set_header("OpenStack-image-import-methods", ",".join(METHODS))
        resp.status = 201
        resp.content_type = "application/json"
        resp.data = self._shown(command)

    def _shown(self, command: CreateImage) -> bytes:
        """The document; when the projection lags, what it is going to show."""
        with self._means.services.engine.connect() as connection:
            found = find_image(connection, command.image_id, command.owner, is_admin=True)
        if found is not None:
            return found.document.encode()
        image = evolve(None, created(command, time.time_ns() // 1000))
        assert image is not None, "what was accepted was created"
        return orjson.dumps(document(image))


def _creation(body: dict[str, Any], project_id: str) -> CreateImage:
    return CreateImage(
        image_id=body["id"].lower() if "id" in body else str(uuid4()),
        owner=body.get("owner") or project_id,
        name=body.get("name"),
        visibility=body.get("visibility", "shared"),
        protected=body.get("protected", False),
        hidden=body.get("os_hidden", False),
        disk_format=body.get("disk_format"),
        container_format=body.get("container_format"),
        min_disk_gib=body.get("min_disk", 0),
        min_ram_mib=body.get("min_ram", 0),
        tags=body.get("tags", []),
        properties={k: v for k, v in body.items() if k != "id" and k not in WRITABLE},
    )


class Image:
    """``/v2/images/{image_id}``."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def on_get(self, req: falcon.Request, resp: falcon.Response, image_id: str) -> None:
        """The image."""
        resp.content_type = "application/json"
        resp.data = self._means.find(req, image_id).document.encode()

    def on_patch(self, req: falcon.Request, resp: falcon.Response, image_id: str) -> None:
        """The whole image as it is after the patch."""
        image = self._means.permitted(req, image_id, "modify_image")
        changes = changes_of(req.content_type or "", read_bytes(req, BODY_BYTES_MAX))
        for change in changes:
            value = orjson.loads(change.value) if change.value else None
            check_permission(caller(req), change.key, value, image.owner)
        if changes:
            command = UpdateImage(image_id=image.id, changes=changes)
            self._means.send(req, command, image.id)
            with self._means.services.engine.connect() as connection:
                image = find_image(connection, image.id, None, is_admin=True) or image
        resp.content_type = "application/json"
        resp.data = image.document.encode()

    def on_delete(self, req: falcon.Request, resp: falcon.Response, image_id: str) -> None:
        """204. The data goes at once where no other image has the same."""
        image = self._means.permitted(req, image_id, "delete_image")
        self._means.send(req, DeleteImage(image_id=image.id), image.id)
        try:
            self._means.store.release(image.id)
        except StoreFailed as error:
            # The image is deleted; a later sweep removes the data.
            log.warning("data of a deleted image stays for now", image=image.id, reason=str(error))
        resp.status = 204
