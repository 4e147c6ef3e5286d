"""Facts about an image's data: how it came, what it is, whether it may be used.

The data itself lies in the image store under its SHA-512; the log holds the checksum. An
upload holds a lease: when whoever received the data dies, the lease runs out and the image is
queued again, so no image stays in ``saving`` for ever.
"""

from __future__ import annotations

from typing import Annotated

from events.image.attributes import ImageFact
from events.message import Instant, Large, Text

UploadId = Annotated[str, "UUID of one attempt to upload."]
Sha512 = Annotated[str, "SHA-512 of the data, hex: os_hash_value, and its name in the store."]
Md5 = Annotated[str, "MD5 of the data, hex: the API's field checksum, for old clients only."]
SizeBytes = Annotated[Large, "Length of the data in bytes."]
VirtualSizeBytes = Annotated[Large | None, "Size of the disk that a guest sees, when known."]
LeaseUntil = Annotated[Instant, "Unless extended, the upload counts as abandoned from then on."]
DetectedFormats = Annotated[
    list[str], "Formats that the data itself shows, as inspected; raw means none of them."
]


class ImageUploadStarted(ImageFact, frozen=True, kw_only=True):
    """Data began to arrive."""

    upload_id: UploadId
    staged: Annotated[bool, "Whether the data is only staged, for an import later."]
    lease_until: LeaseUntil


class ImageUploadExtended(ImageFact, frozen=True, kw_only=True):
    """Data is still arriving; its lease was extended."""

    upload_id: UploadId
    received_bytes: Annotated[Large, "Bytes that have arrived so far."]
    lease_until: LeaseUntil


class ImageUploadFailed(ImageFact, frozen=True, kw_only=True):
    """The data did not arrive whole, or was refused; the image is queued again."""

    upload_id: UploadId
    reason: Annotated[Text, "One sentence."]


class ImageUploaded(ImageFact, frozen=True, kw_only=True):
    """The data is whole in the store; the image is active."""

    upload_id: UploadId
    checksum: Sha512
    md5: Md5
    size_bytes: SizeBytes
    virtual_size_bytes: VirtualSizeBytes
    detected_formats: DetectedFormats


class ImageStaged(ImageFact, frozen=True, kw_only=True):
    """The data is whole in the store, to be imported; the image is not usable yet."""

    upload_id: UploadId
    checksum: Sha512
    md5: Md5
    size_bytes: SizeBytes
    virtual_size_bytes: VirtualSizeBytes
    detected_formats: DetectedFormats


class ImageImported(ImageFact, frozen=True, kw_only=True):
    """The staged data became the image's data; the image is active."""

    method: Annotated[str, "Import method, e.g. glance-direct."]


class ImageDeactivated(ImageFact, frozen=True, kw_only=True):
    """The data may no longer be used, except by administrators."""


class ImageReactivated(ImageFact, frozen=True, kw_only=True):
    """The data may be used again."""
