"""Images: made, filled, booted from and deleted, on the real store and with the API's own upload.

What arrives may come slowly, break off, or stop for longer than the upload's lease; the process
that takes it may die. In the end each image that is active has its data, no upload is left under
way, and the store keeps nothing of images that are deleted.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from api.bus import Actor
from api.image.file import File
from api.image.receiving import Failed
from api.image.store import ImageStore
from commands.image.activation import DeactivateImage, ReactivateImage
from commands.image.create import CreateImage
from commands.image.delete import DeleteImage
from events.compute.server import ImageSnapshot
from events.image.image import ACTIVE, DEACTIVATED, DELETED, QUEUED, Image
from events.message import Command
from tests.simulation import api
from tests.simulation.clients import Client
from tests.simulation.operations import boot, create, operation
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

PAUSES_S = (0.05, 0.05, 0.05, 1.0, 40.0, 700.0)
"""Between two chunks. The last is longer than a lease."""


class Means:
    """``api.image.means.Means`` of one request, as far as an upload needs it."""

    def __init__(self, process: Process, actor: Actor) -> None:
        self.store = process.world.store()
        self._process = process
        self._actor = actor

    def send(self, req: object, command: Command, key: str) -> None:
        api.send(self._process, command, key, self._actor)


class Body:
    """``api.image.receiving.Body`` of a client that may be slow or go away."""

    def __init__(self, process: Process, content: bytes) -> None:
        self._process = process
        self._left = [content[:7], content[7:]]
        self.received = 0
        self.size_known = len(content)

    def read(self) -> bytes:
        rng = self._process.world.kernel.rng
        pause = rng.choice(PAUSES_S)
        self._process.pause(pause)
        if rng.random() < (0.5 if pause > 60 else 0.1):
            raise Failed(400, "The connection was lost in the upload.")
        chunk = self._left.pop(0) if self._left else b""
        self.received += len(chunk)
        return chunk

    def __enter__(self) -> Body:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to give back."""


class Seen(msgspec.Struct):
    """``projections.image.queries.ImageRow``, as far as an upload looks at it."""

    id: str
    disk_format: str | None
    container_format: str | None


def _images(client: Client, *statuses: str) -> list[Image]:
    states = client.world.observer.states.items()
    found = [state for (name, _), state in states if name == "image" and state is not None]
    return [image for image in found if image.status in statuses]


@operation
def create_image(client: Client) -> None:
    id = client.new_id()
    command = CreateImage(
        image_id=id, owner=client.projects[0], name="image", visibility="private",
        protected=False, hidden=False, disk_format="raw", container_format="bare",
        min_disk_gib=0, min_ram_mib=0, tags=[], properties={},
    )  # fmt: skip
    client.ask(command, id)


@operation
def upload_image(client: Client) -> None:
    """Some of the contents are the same, and share their place in the store."""
    queued = _images(client, QUEUED, QUEUED, "saving")
    if not queued:
        return create_image(client)
    image = client.rng.choice(queued)
    actor = client.actor(image.owner)
    content = f"content {client.rng.randrange(3)}".encode()
    seen: Any = Seen(image.image_id, image.disk_format, image.container_format)

    def work(process: Process) -> None:
        means: Any = Means(process, actor)
        body: Any = Body(process, content)
        request: Any = None
        try:
            File(means)._upload(request, seen, body)
        except Failed:
            process.world.note(process.name, f"an upload of {image.image_id} broke off")

    client.request(work)


@operation
def activate_image(client: Client) -> None:
    images = _images(client, ACTIVE, DEACTIVATED)
    if images:
        id = client.rng.choice(images).image_id
        kind = client.rng.choice((DeactivateImage, ReactivateImage))
        client.ask(kind(image_id=id), id)


@operation
def delete_image(client: Client) -> None:
    """As ``api.image.images``: the decision first, then the data."""
    images = _images(client, QUEUED, "saving", ACTIVE, DEACTIVATED)
    if not images:
        return
    image = client.rng.choice(images)
    actor = client.actor(image.owner)

    def work(process: Process) -> None:
        api.send(process, DeleteImage(image_id=image.image_id), image.image_id, actor)
        process.world.store().release(image.image_id)

    client.request(work)


@operation
def boot_from_image(client: Client) -> None:
    """The image may be deleted before a host has fetched it."""
    images = _images(client, ACTIVE)
    if not images:
        return boot(client)
    image = client.rng.choice(images)
    assert image.content is not None, "an active image has its content"
    snapshot = ImageSnapshot(
        image_id=image.image_id,
        name="image",
        checksum=image.content.sha512,
        size_bytes=image.content.size,
        disk_format="raw",
    )
    command = msgspec.structs.replace(create(client, 1), image=snapshot)
    client.ask(command, command.project_id)


def fetched(world: World, checksum: str) -> bytes:
    """Return the data with this checksum. Raises ``NotStored``."""
    section = world.store().open(checksum)
    try:
        return section.read()
    finally:
        section.close()


def under_way(world: World) -> str:
    """An upload that has not ended; empty: none."""
    for (name, id), state in world.observer.states.items():
        if name == "image" and state is not None and state.upload is not None:
            return f"image {id} is {state.status}"
    return ""


def check(world: World) -> None:
    """Sweep the store as the API does now and then; compare what is left with the log."""
    if not world.stores:
        return
    images = {id: one for (name, id), one in world.observer.states.items() if name == "image"}

    def deleted(ids: Collection[str]) -> list[str]:
        return [id for id in ids if id in images and images[id].status == DELETED]

    store: ImageStore = world.store()
    store.sweep(deleted, math.inf, 0.0)
    kept = {path.name for path in Path(store.root / "references").iterdir()}
    for id, image in images.items():
        if image.status == DELETED and id in kept:
            world.complain("image", f"the store keeps data of {id}, which is deleted")
        if image.status in (ACTIVE, DEACTIVATED) and "restored" not in world.faults.names:
            assert image.content is not None, "an active image has its content"
            if not store.path(image.content.sha512).exists():
                world.complain("image", f"image {id} is {image.status} and has no data")
