"""An image's data: upload, stage, download.

An upload is begun and finished by commands; in between the image is ``saving`` (``uploading``
when staged) under a lease. When this process dies, the lease runs out and the decider queues the
image again; what it left in the store is swept.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from uuid import uuid4

import falcon

from api.bus import Refused, Unavailable
from api.image import policy
from api.image.inspection import Found
from api.image.means import Means, caller
from api.image.receiving import LEASE_MS, Body, Failed, Received, receive
from api.image.sending import send_data
from api.image.store import StoreFailed
from commands.image.formats import contradiction
from commands.image.upload import BeginUpload, ExtendUpload, FailUpload, FinishUpload
from events.bounds import printable
from events.image.image import DEACTIVATED
from projections.image.queries import ImageRow

OCTETS = "application/octet-stream"
RETRY_AFTER_S = 5


class Stage:
    """``/v2/images/{image_id}/stage``: data to be imported later."""

    staged = True

    def __init__(self, means: Means) -> None:
        self._means = means

    def on_put(self, req: falcon.Request, resp: falcon.Response, image_id: str) -> None:
        """204 when the data is whole in the store."""
        image = self._means.permitted(req, image_id, "upload_image")
        media_type = (req.content_type or "").partition(";")[0].strip().lower()
        if media_type != OCTETS:
            raise falcon.HTTPUnsupportedMediaType(description=f"The media type must be {OCTETS}.")
        if not self._means.uploads.acquire(blocking=False):
            raise Unavailable("Too many uploads at once: try again.", RETRY_AFTER_S)
        try:
            left = partial(self._means.bytes_left, image.owner)
            body = Body(req, self._means.settings.image_bytes_max, left)
            self._means.sweep_if_due()
            self._upload(req, image, body)
        except Failed as error:
            raise falcon.HTTPError(error.status, description=error.detail) from error
        except StoreFailed as error:
            raise falcon.HTTPServiceUnavailable(description=str(error)) from error
        finally:
            self._means.uploads.release()
        resp.status = 204

    def _upload(self, req: falcon.Request, image: ImageRow, body: Body) -> None:
        upload_id = str(uuid4())
        begin = BeginUpload(
            image_id=image.id, upload_id=upload_id, staged=self.staged, lease_ms=LEASE_MS
        )
        self._means.send(req, begin, image.id)
        try:
            received = self._receive(req, image, body, upload_id)
        except Refused:
            raise  # The upload was given up or the image deleted: nothing is left to report.
        except Exception as error:
            self._give_up(req, image, upload_id, str(error) or type(error).__name__)
            raise
        self._finish(req, image, upload_id, received)

    def _give_up(self, req: falcon.Request, image: ImageRow, upload_id: str, reason: str) -> None:
        """Queue the image again. Where not even this can be done, the lease runs out and the
        sweep tidies."""
        with suppress(StoreFailed):
            self._means.store.release(image.id, upload_id)
        fail = FailUpload(image_id=image.id, upload_id=upload_id, reason=printable(reason))
        with suppress(Refused, Unavailable):
            self._means.send(req, fail, image.id)

    def _receive(
        self, req: falcon.Request, image: ImageRow, body: Body, upload_id: str
    ) -> Received:
        def extend(received_bytes: int) -> None:
            command = ExtendUpload(
                image_id=image.id,
                upload_id=upload_id,
                received_bytes=received_bytes,
                lease_ms=LEASE_MS,
            )
            # No answer now: the lease still holds, and the next try comes before its end.
            with suppress(Unavailable):
                self._means.send(req, command, image.id)

        def contradicts(found: Found) -> str | None:
            if self.staged or image.disk_format is None or image.container_format is None:
                return None
            return contradiction(image.disk_format, image.container_format, found.formats)

        store = self._means.store
        return receive(body, store, image.id, upload_id, contradicts, extend)

    def _finish(
        self, req: falcon.Request, image: ImageRow, upload_id: str, received: Received
    ) -> None:
        command = FinishUpload(
            image_id=image.id,
            upload_id=upload_id,
            checksum=received.stored.sha512,
            md5=received.stored.md5,
            size_bytes=received.stored.size,
            virtual_size_bytes=received.found.virtual_size,
            detected_formats=list(received.found.formats),
        )
        try:
            self._means.send(req, command, image.id)
        except Refused:
            with suppress(StoreFailed):
                self._means.store.release(image.id, upload_id)
            raise
        with suppress(StoreFailed):
            self._means.store.release_others(image.id, upload_id)


class File(Stage):
    """``/v2/images/{image_id}/file``."""

    staged = False

    def on_get(self, req: falcon.Request, resp: falcon.Response, image_id: str) -> None:
        """The data, or the part that a Range asks for; 204 while there is none."""
        image = self._means.find(req, image_id)
        if image.status == DEACTIVATED and not policy.allowed(
            caller(req), "download_deactivated", image.owner
        ):
            raise falcon.HTTPForbidden(
                description="The requested image has been deactivated. "
                "Image data download is forbidden."
            )
        if image.sha512 is None:
            resp.status = 204
            return
        send_data(req, resp, self._means.store, image.sha512, image.md5)
