"""What all image resources share: reading, asking, the store, who calls."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Collection

import falcon
import structlog

from api.bus import Actor
from api.caller import Caller
from api.http.request_ids import request_id
from api.image import policy
from api.image.store import ImageStore, StoreFailed, StoreFull
from api.services import Services
from events.message import Command
from projections.image.queries import ImageRow, bytes_of, deleted_among, find_image

UUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")

log = structlog.get_logger("api.image")

SWEEP_INTERVAL_S = 600
SWEEP_GRACE_S = 3600
"""A temporary file that got nothing for an hour is nobody's: its lease ran out long ago."""


class Means:
    """One for each server. Thread-safe."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.settings = services.settings
        settings = services.settings
        self.store = ImageStore(settings.images_path, settings.image_room_kept_bytes)
        self.uploads = threading.BoundedSemaphore(services.settings.image_uploads_max)
        self.url = f"{services.settings.public_url}/image"

    def find(self, req: falcon.Request, image_id: str) -> ImageRow:
        """The image, its id in whatever case. Raises 404 when there is none that the caller
        can see."""
        who = caller(req)
        found = None
        if UUID.fullmatch(image_id):
            with self.services.engine.connect() as connection:
                found = find_image(connection, image_id.lower(), who.project_id, is_admin(who))
        if found is None:
            raise falcon.HTTPNotFound(description=f"No image found with ID {image_id}")
        return found

    def permitted(self, req: falcon.Request, image_id: str, rule: str) -> ImageRow:
        """The image, when the caller may do ``rule`` with it. Raises 404 or 403."""
        image = self.find(req, image_id)
        policy.enforce(caller(req), rule, image.owner)
        return image

    def bytes_left(self, owner: str) -> int | None:
        """Return how many bytes of image data the project may have more; None: any number. Raises
        ``StoreFailed``."""
        bound = self.settings.image_project_bytes_max
        if not bound:
            return None
        with self.services.engine.connect() as connection:
            used, staged = bytes_of(connection, owner)
        return max(0, bound - used - sum(map(self.store.held, staged)))

    def send(self, req: falcon.Request, command: Command, key: str) -> None:
        """Have it decided; ``key`` is the image's id. Raises ``Refused`` or ``Unavailable``."""
        who = caller(req)
        actor = Actor(
            user_id=who.user_id, project_id=who.project_id or "", request_id=request_id(req)
        )
        self.services.bus.send(command, key, actor)

    def sweep_if_due(self) -> None:
        """Tidy the store, at most every ten minutes over all processes that share it. A failure
        is logged: whoever came to use the store finds out by himself what is wrong with it."""
        mark = self.store.root / "swept"
        now = time.time()
        try:
            if mark.exists() and now - mark.stat().st_mtime < SWEEP_INTERVAL_S:
                return
            mark.touch()
            self.store.sweep(self._deleted, now, SWEEP_GRACE_S)
        except (OSError, StoreFailed, StoreFull) as error:
            log.warning("the image store could not be swept", reason=str(error))

    def _deleted(self, ids: Collection[str]) -> Collection[str]:
        with self.services.engine.connect() as connection:
            return deleted_among(connection, ids)


def caller(req: falcon.Request) -> Caller:
    """Who asks."""
    who: Caller = req.context.caller
    return who


def is_admin(who: Caller) -> bool:
    """Whether the caller sees and may change every project's images."""
    return "admin" in who.roles and who.project_id is not None and not who.system
