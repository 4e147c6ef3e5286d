"""What a new server boots from: an image on a local disk. Volumes come with the volume service.

Nova's order: the image exists and is active, the flavor has memory and disk enough for it. Of block
devices only those that say the same as ``imageRef`` and the flavor are accepted.
"""

from __future__ import annotations

from typing import Any

from api.compute.faults import bad_request, forbidden
from api.compute.image_properties import check_properties
from api.compute.operation import Call
from api.policy import allowed, enforce
from commands.compute.bootable import BOOTABLE_FORMATS
from events.compute.flavor import FlavorSnapshot
from events.compute.server import ImageSnapshot
from projections.image.queries import find_image

GIB = 1024**3
NO_VOLUMES = (
    "Block Device Mapping is Invalid: this cloud has no volume service; boot from an image."
)
BAD_SEQUENCE = (
    "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device "
    "mapping combination is not valid."
)
LOCALS_MAX = 3
"""Nova's ``max_local_block_devices``."""


def boot_image(call: Call, body: dict[str, Any]) -> ImageSnapshot:
    """The image that ``imageRef`` names. Raises 400."""
    devices = body.get("block_device_mapping") or body.get("block_device_mapping_v2")
    if devices:
        enforce(call.caller, "os_compute_api:servers:create:attach_volume")
    image_id = body.get("imageRef")
    if not image_id:
        if devices:
            raise bad_request(NO_VOLUMES)
        raise bad_request(
            "Missing imageRef attribute" if image_id is None else "Invalid imageRef provided."
        )
    if body.get("trusted_image_certificates"):
        enforce(call.caller, "os_compute_api:servers:create:trusted_certs")
        raise bad_request("Image signature certificate validation is not available in this cloud.")
    if body.get("personality"):
        raise bad_request("File injection (personality) is not available; use user_data.")
    return _image(call, image_id)


def _image(call: Call, image_id: str) -> ImageSnapshot:
    with call.services.engine.connect() as connection:
        image = find_image(
            connection, image_id.lower(), call.caller.project_id, call.caller.is_admin
        )
    if image is None:
        raise bad_request(f"Image {image_id} could not be found.")
    if image.status != "active" or image.sha512 is None:
        raise bad_request(f"Image {image_id} is not active.")
    disk_format = image.disk_format or "raw"
    if disk_format not in BOOTABLE_FORMATS:
        raise bad_request(f"Disk format {disk_format} is not acceptable")
    check_properties(image.properties)
    return ImageSnapshot(
        image_id=image.id,
        name=image.name or "",
        checksum=image.sha512,
        size_bytes=image.size_bytes or 0,
        disk_format=disk_format,
        container_format=image.container_format or "bare",
        virtual_size_bytes=image.virtual_size_bytes,
        min_disk_gib=image.min_disk_gib,
        min_ram_mib=image.min_ram_mib,
        properties=image.properties,
    )


def check_fits(call: Call, flavor: FlavorSnapshot, image: ImageSnapshot) -> None:
    """Raises 400 when the image needs more than the flavor has, 403 for no root disk at all."""
    if flavor.ram_mib < image.min_ram_mib:
        raise bad_request("Flavor's memory is too small for requested image.")
    if flavor.root_gib == 0:
        if not allowed(call.caller, "os_compute_api:servers:create:zero_disk_flavor"):
            raise forbidden("Only volume-backed servers are allowed for flavors with zero disk.")
        return
    disk = flavor.root_gib * GIB
    # The data of a compressed image may be a small part of its disk (OSSA 2013-030).
    needed = max(image.size_bytes, image.virtual_size_bytes or 0)
    if needed > disk:
        raise bad_request(
            "Flavor's disk is too small for requested image. Flavor disk is "
            f"{disk} bytes, image is {needed} bytes."
        )
    if image.min_disk_gib > flavor.root_gib:
        raise bad_request(
            "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor "
            f"disk is {disk} bytes, minimum size is {image.min_disk_gib * GIB} bytes."
        )


def check_block_devices(body: dict[str, Any], image: ImageSnapshot) -> None:
    """Accept the image's own root device; raises 400 for whatever would need more."""
    if body.get("block_device_mapping"):
        if body.get("block_device_mapping_v2"):
            raise bad_request("Using different block_device_mapping syntaxes is not allowed.")
        raise bad_request(NO_VOLUMES)
    devices = body.get("block_device_mapping_v2")
    if not devices:
        return
    if len(devices) > LOCALS_MAX:
        raise bad_request(
            "Block Device Mapping is Invalid: You specified more local devices than the limit "
            "allows"
        )
    roots = [device for device in devices if _is_root(device, image)]
    if not roots:
        raise bad_request(BAD_SEQUENCE)
    if len(devices) > 1:
        raise bad_request(
            "Block Device Mapping is Invalid: the disks of a server follow from its flavor; only "
            "the image's root device can be given."
        )


def _is_root(device: dict[str, Any], image: ImageSnapshot) -> bool:
    """Whether a device is the image on the root disk; raises 400 for what no device can be."""
    source = device.get("source_type")
    if source is None:
        raise bad_request(
            "Block Device Mapping is Invalid: source_type must be given for each device"
        )
    if device.get("destination_type", "local") == "volume" or source in ("volume", "snapshot"):
        raise bad_request(NO_VOLUMES)
    if source == "blank":
        return False
    if str(device.get("uuid", "")).lower() != image.image_id:
        raise bad_request(
            "Block Device Mapping is Invalid: Mapping image to local is not supported."
        )
    return str(device.get("boot_index")) == "0"
