"""The image aggregate: its state and fold.

``status`` follows Glance: queued → saving → active, or queued → uploading (staged) → active,
active ⇄ deactivated, anything → deleted. A failed upload is queued again.
"""

from __future__ import annotations

from typing import Any, assert_never

import msgspec
from msgspec.structs import replace

from events.aggregate import Aggregate, register
from events.image import attributes as a
from events.image import content as c
from events.image import sharing as s
from events.message import Command, Event, message_class

QUEUED = "queued"
SAVING = "saving"
UPLOADING = "uploading"
ACTIVE = "active"
DEACTIVATED = "deactivated"
DELETED = "deleted"


class Upload(msgspec.Struct, frozen=True):
    """An upload in progress."""

    id: str
    staged: bool
    lease_until: int


class Content(msgspec.Struct, frozen=True):
    """Data in the store. Sizes in bytes; ``virtual_size`` None when unknown."""

    sha512: str
    md5: str
    size: int
    virtual_size: int | None
    detected_formats: tuple[str, ...]


class Member(msgspec.Struct, frozen=True):
    """A project that the image is shared with."""

    status: str
    created_at: int
    updated_at: int


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """State of an image. ``project_id`` owned it first and never changes; ``owner`` may."""

    image_id: str
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
    tags: tuple[str, ...]
    properties: dict[str, str]
    created_at: int
    updated_at: int
    upload: Upload | None = None
    staged: Content | None = None
    content: Content | None = None
    members: dict[str, Member] = {}


Attribute = (
    a.ImageRenamed
    | a.ImageVisibilityChanged
    | a.ImageProtectionChanged
    | a.ImageHidingChanged
    | a.ImageFormatsChosen
    | a.ImageMinimaChanged
    | a.ImageOwnerChanged
    | a.ImageTagged
    | a.ImagePropertiesChanged
)
Arrival = (
    c.ImageUploadStarted
    | c.ImageUploadExtended
    | c.ImageUploadFailed
    | c.ImageUploaded
    | c.ImageStaged
    | c.ImageImported
)
Sharing = s.ImageShared | s.ImageShareAnswered | s.ImageUnshared
Status = a.ImageDeleted | c.ImageDeactivated | c.ImageReactivated
Fact = a.ImageCreated | Attribute | Arrival | Sharing | Status


def evolve(image: Image | None, event: Event) -> Image | None:
    """The state after ``event``. An unknown image's later facts change nothing."""
    if isinstance(event, a.ImageCreated):
        return _created(event)
    if image is None:
        return None
    if isinstance(event, Attribute):
        return replace(_attribute(image, event), updated_at=event.at)
    if isinstance(event, Arrival):
        return _arrival(image, event)
    if isinstance(event, Sharing):
        return replace(image, members=_members(image.members, event))
    if isinstance(event, Status):
        return _status(image, event)
    return image


def _created(event: a.ImageCreated) -> Image:
    return Image(
        image_id=event.image_id,
        project_id=event.project_id,
        owner=event.owner,
        name=event.name,
        status=QUEUED,
        visibility=event.visibility,
        protected=event.protected,
        hidden=event.hidden,
        disk_format=event.disk_format,
        container_format=event.container_format,
        min_disk_gib=event.min_disk_gib,
        min_ram_mib=event.min_ram_mib,
        tags=tuple(event.tags),
        properties=event.properties,
        created_at=event.at,
        updated_at=event.at,
    )


def _attribute(image: Image, event: Attribute) -> Image:
    match event:
        case a.ImageRenamed():
            return replace(image, name=event.name)
        case a.ImageVisibilityChanged():
            return replace(image, visibility=event.visibility)
        case a.ImageProtectionChanged():
            return replace(image, protected=event.protected)
        case a.ImageHidingChanged():
            return replace(image, hidden=event.hidden)
        case a.ImageFormatsChosen():
            return replace(
                image, disk_format=event.disk_format, container_format=event.container_format
            )
        case a.ImageMinimaChanged():
            return replace(image, min_disk_gib=event.min_disk_gib, min_ram_mib=event.min_ram_mib)
        case a.ImageOwnerChanged():
            return replace(image, owner=event.owner)
        case a.ImageTagged():
            return replace(image, tags=tuple(event.tags))
        case a.ImagePropertiesChanged():
            kept = {k: v for k, v in image.properties.items() if k not in event.removed}
            return replace(image, properties=kept | event.set)
        case _ as unreachable:
            assert_never(unreachable)


def _arrival(image: Image, event: Arrival) -> Image:
    match event:
        case c.ImageUploadStarted():
            upload = Upload(event.upload_id, event.staged, event.lease_until)
            status = UPLOADING if event.staged else SAVING
            return replace(image, status=status, upload=upload, updated_at=event.at)
        case c.ImageUploadExtended():
            if image.upload is None:
                return image
            return replace(image, upload=replace(image.upload, lease_until=event.lease_until))
        case c.ImageUploadFailed():
            return replace(image, status=QUEUED, upload=None, updated_at=event.at)
        case c.ImageUploaded():
            return replace(
                image,
                status=ACTIVE,
                upload=None,
                content=_content(event),
                updated_at=event.at,
            )
        case c.ImageStaged():
            return replace(image, upload=None, staged=_content(event), updated_at=event.at)
        case c.ImageImported():
            return replace(
                image, status=ACTIVE, content=image.staged, staged=None, updated_at=event.at
            )
        case _ as unreachable:
            assert_never(unreachable)


def _content(event: c.ImageUploaded | c.ImageStaged) -> Content:
    return Content(
        sha512=event.checksum,
        md5=event.md5,
        size=event.size_bytes,
        virtual_size=event.virtual_size_bytes,
        detected_formats=tuple(event.detected_formats),
    )


def _members(members: dict[str, Member], event: Sharing) -> dict[str, Member]:
    match event:
        case s.ImageShared():
            return members | {event.member: Member("pending", event.at, event.at)}
        case s.ImageShareAnswered():
            known = members.get(event.member) or Member("pending", event.at, event.at)
            answered = replace(known, status=event.status, updated_at=event.at)
            return members | {event.member: answered}
        case s.ImageUnshared():
            return {name: m for name, m in members.items() if name != event.member}
        case _ as unreachable:
            assert_never(unreachable)


def _status(image: Image, event: Status) -> Image:
    match event:
        case a.ImageDeleted():
            return replace(image, status=DELETED, upload=None, staged=None, updated_at=event.at)
        case c.ImageDeactivated():
            return replace(image, status=DEACTIVATED, updated_at=event.at)
        case c.ImageReactivated():
            return replace(image, status=ACTIVE, updated_at=event.at)
        case _ as unreachable:
            assert_never(unreachable)


def _lease(image: Image) -> int | None:
    return image.upload.lease_until if image.upload else None


def _abandon(image: Image) -> Command:
    """The command by name: events know no command package."""
    assert image.upload is not None, "only an image with a lease is overdue"
    fail: Any = message_class("image.FailUpload")
    failed: Command = fail(
        image_id=image.image_id, upload_id=image.upload.id, reason="Data stopped arriving."
    )
    return failed


IMAGE = register(
    Aggregate(
        name="image",
        domain="image",
        state=Image,
        evolve=evolve,
        gone=lambda image: image is None or image.status == DELETED,
        deadline=_lease,
        overdue=_abandon,
    )
)
