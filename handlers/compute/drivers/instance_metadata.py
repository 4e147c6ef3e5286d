"""What a guest is told about itself: the files of Nova's metadata, as paths and bytes.

The same for a config drive and for a metadata service. Pure: the random seed and the clear admin
password come as arguments. Versions and their differences: nova/api/metadata/base.py.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from handlers.compute.drivers.contract import DriverError, GuestSecrets, GuestSpec

VERSIONS = (
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
    "2025-04-04",
    "latest",
)
EC2_VERSIONS = ("2009-04-04", "latest")
RANDOM_SEED_BYTES = 512
DHCP_DOMAIN = "novalocal"

_NETWORK: dict[str, list[object]] = {"links": [], "networks": [], "services": []}


def metadata_files(
    spec: GuestSpec, *, random_seed: bytes, secrets: GuestSecrets
) -> dict[str, bytes]:
    """Each file's path, from the root of the drive or service, and its contents."""
    user_data, password = _user_data(spec, secrets), secrets.admin_password
    files: dict[str, bytes] = {}
    for version in VERSIONS:
        folder = f"openstack/{version}"
        meta = meta_data(spec, version, random_seed=random_seed, admin_password=password)
        files[f"{folder}/meta_data.json"] = msgspec.json.encode(meta)
        if user_data is not None:
            files[f"{folder}/user_data"] = user_data
        if version >= "2013-10-17":
            files[f"{folder}/vendor_data.json"] = b"{}"
        if version >= "2015-10-15":
            files[f"{folder}/network_data.json"] = msgspec.json.encode(_NETWORK)
        if version >= "2016-10-06":
            files[f"{folder}/vendor_data2.json"] = msgspec.json.encode({"static": {}})
    for version in EC2_VERSIONS:
        files[f"ec2/{version}/meta-data.json"] = msgspec.json.encode(ec2_meta_data(spec))
        if user_data is not None:
            files[f"ec2/{version}/user-data"] = user_data
    return files


def meta_data(
    spec: GuestSpec, version: str, *, random_seed: bytes, admin_password: str | None
) -> dict[str, Any]:
    """`openstack/<version>/meta_data.json` (compute_host: path table of the metadata service)."""
    meta: dict[str, Any] = {
        "uuid": spec.server_id,
        "hostname": full_hostname(spec),
        "name": spec.name,
        "launch_index": spec.launch_index,
        "availability_zone": spec.availability_zone,
    }
    if spec.metadata:
        meta["meta"] = spec.metadata
    if spec.public_keys:
        meta["public_keys"] = {key.name: key.public_key for key in spec.public_keys}
        meta["keys"] = [
            {"name": key.name, "type": key.type, "data": key.public_key} for key in spec.public_keys
        ]
    if admin_password is not None:
        meta["admin_pass"] = admin_password
    if version >= "2013-04-04":
        meta["random_seed"] = base64.b64encode(random_seed).decode()
    if version >= "2015-10-15":
        meta["project_id"] = spec.project_id
    if version >= "2016-06-30":
        meta["devices"] = []
    if version >= "2020-10-14":
        meta["dedicated_cpus"] = []
    return meta


def ec2_meta_data(spec: GuestSpec) -> dict[str, Any]:
    """EC2's meta-data tree. Its short ids are cut from our UUIDs."""
    hostname = full_hostname(spec)
    meta: dict[str, Any] = {
        "ami-id": f"ami-{spec.image_id[:8]}",
        "ami-launch-index": 0,
        "ami-manifest-path": "FIXME",  # Nova's literal value: no manifest exists
        "block-device-mapping": {"ami": "vda", "root": "/dev/vda"},
        "hostname": hostname,
        "instance-action": "none",
        "instance-id": f"i-{spec.server_id[:8]}",
        "instance-type": spec.flavor_name,
        "local-hostname": hostname,
        "local-ipv4": "",
        "placement": {"availability-zone": spec.availability_zone},
        "public-hostname": hostname,
        "public-ipv4": "",
        "reservation-id": f"r-{spec.server_id[:8]}",
        "security-groups": [],
    }
    if spec.public_keys:
        meta["public-keys"] = {
            str(index): {"_name": f"{index}={key.name}", "openssh-key": key.public_key}
            for index, key in enumerate(spec.public_keys)
        }
    return meta


def full_hostname(spec: GuestSpec) -> str:
    """The host name with Nova's default domain."""
    return f"{spec.hostname}.{DHCP_DOMAIN}"


def _user_data(spec: GuestSpec, secrets: GuestSecrets) -> bytes | None:
    if not secrets.user_data:
        return None
    try:
        return base64.b64decode(secrets.user_data, validate=False)
    except ValueError as error:  # characters beyond ASCII, or wrong padding
        raise DriverError(f"The user_data of server {spec.server_id} is not base64.") from error
