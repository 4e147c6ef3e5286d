"""Upload an image's data: begin, extend the lease while data arrives, finish or fail.

The API process that receives the data sends all four; data goes to the store, its checksum here.
An upload is known by its id: once it has failed (its lease ran out, say) a finish of it no
longer counts, so data of an abandoned attempt never becomes an image.
"""

from __future__ import annotations

from typing import Annotated

from commands.decision import Decision, accept, decides, refuse
from commands.image.rules import conflict, unknown
from events.image.attributes import ImageFact, ImageId
from events.image.content import (
    DetectedFormats,
    ImageStaged,
    ImageUploaded,
    ImageUploadExtended,
    ImageUploadFailed,
    ImageUploadStarted,
    Md5,
    Sha512,
    SizeBytes,
    UploadId,
    VirtualSizeBytes,
)
from events.image.image import QUEUED, SAVING, UPLOADING, Image
from events.message import Command, Large, Text

LeaseMs = Annotated[Large, "How long the upload holds without a further sign, in milliseconds."]


class BeginUpload(Command, frozen=True, kw_only=True):
    """Announce that data is about to arrive."""

    image_id: ImageId
    upload_id: UploadId
    staged: Annotated[bool, "Whether the data is only staged, for an import later."]
    lease_ms: LeaseMs


class ExtendUpload(Command, frozen=True, kw_only=True):
    """Report that data still arrives."""

    image_id: ImageId
    upload_id: UploadId
    received_bytes: Annotated[Large, "Bytes that have arrived so far."]
    lease_ms: LeaseMs


class FinishUpload(Command, frozen=True, kw_only=True):
    """Report that the data is whole and durable in the store."""

    image_id: ImageId
    upload_id: UploadId
    checksum: Sha512
    md5: Md5
    size_bytes: SizeBytes
    virtual_size_bytes: VirtualSizeBytes
    detected_formats: DetectedFormats


class FailUpload(Command, frozen=True, kw_only=True):
    """Report that the data did not arrive whole or was refused."""

    image_id: ImageId
    upload_id: UploadId
    reason: Annotated[Text, "One sentence."]


@decides(BeginUpload, aggregate="image", key="image_id")
def begin(image: Image | None, command: BeginUpload, at: int) -> Decision:
    """Only a queued image takes data; not staged, its formats must be known."""
    if image is None:
        return unknown(command.image_id)
    if image.status != QUEUED:
        return conflict(image, UPLOADING if command.staged else SAVING)
    if not command.staged:
        for name, value in (
            ("disk_format", image.disk_format),
            ("container_format", image.container_format),
        ):
            if value is None:
                return refuse(
                    400, "badRequest", f"Property {name} must be set prior to saving data."
                )
    return accept(
        ImageUploadStarted(
            at=at,
            image_id=image.image_id,
            upload_id=command.upload_id,
            staged=command.staged,
            lease_until=at + command.lease_ms * 1000,
        )
    )


@decides(ExtendUpload, aggregate="image", key="image_id")
def extend(image: Image | None, command: ExtendUpload, at: int) -> Decision:
    """Refused once the upload no longer counts: the receiver may stop."""
    if (lost := _lost(image, command.upload_id)) is not None:
        return lost
    return accept(
        ImageUploadExtended(
            at=at,
            image_id=command.image_id,
            upload_id=command.upload_id,
            received_bytes=command.received_bytes,
            lease_until=at + command.lease_ms * 1000,
        )
    )


@decides(FinishUpload, aggregate="image", key="image_id")
def finish(image: Image | None, command: FinishUpload, at: int) -> Decision:
    """The data becomes the image's (or is staged), if the upload still counts."""
    if (lost := _lost(image, command.upload_id)) is not None:
        return lost
    assert image is not None and image.upload is not None, "an upload that counts has an image"
    fact: type[ImageStaged | ImageUploaded] = ImageStaged if image.upload.staged else ImageUploaded
    arrived: ImageFact = fact(
        at=at,
        image_id=command.image_id,
        upload_id=command.upload_id,
        checksum=command.checksum,
        md5=command.md5,
        size_bytes=command.size_bytes,
        virtual_size_bytes=command.virtual_size_bytes,
        detected_formats=command.detected_formats,
    )
    return accept(arrived)


@decides(FailUpload, aggregate="image", key="image_id")
def fail(image: Image | None, command: FailUpload, at: int) -> Decision:
    """The image is queued again; nothing to do when the upload no longer counts."""
    if _lost(image, command.upload_id) is not None:
        return accept()
    return accept(
        ImageUploadFailed(
            at=at,
            image_id=command.image_id,
            upload_id=command.upload_id,
            reason=command.reason,
        )
    )


def _lost(image: Image | None, upload_id: str) -> Decision | None:
    if image is None:
        return refuse(410, "gone", "The image was deleted during the upload.")
    if image.upload is None or image.upload.id != upload_id:
        return refuse(
            409, "conflictingRequest", "The upload was given up: it took too long without data."
        )
    return None
