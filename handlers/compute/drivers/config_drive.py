"""The config drive: an ISO 9660 file, label config-2, with Rock Ridge and Joliet names.

It appears by a rename when whole, and is then kept as it is (also across reboots, as Nova's).
It may hold the clear admin password, so only the owner and the hypervisor can read it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

import pycdlib

from handlers.compute.drivers.contract import DriverError, GuestSpec, ReadSecrets
from handlers.compute.drivers.disk_errors import disk_errors_named
from handlers.compute.drivers.disks import written_whole
from handlers.compute.drivers.instance_metadata import RANDOM_SEED_BYTES, metadata_files

FILE_NAME = "disk.config"
VOLUME_LABEL = "config-2"
ISO_9660_1999 = 4  # the interchange level that allows our names as they are


def wants_config_drive(spec: GuestSpec) -> bool:
    """By the request, or by the image's img_config_drive=mandatory."""
    return spec.config_drive or spec.image_properties.get("img_config_drive") == "mandatory"


def ensure_config_drive(spec: GuestSpec, folder: Path, read_secrets: ReadSecrets) -> None:
    """Have `disk.config` in `folder`, if the guest is to have one."""
    path = folder / FILE_NAME
    if not wants_config_drive(spec) or path.exists():
        return
    files = metadata_files(spec, random_seed=os.urandom(RANDOM_SEED_BYTES), secrets=read_secrets())
    with disk_errors_named(f"server {spec.server_id}"):
        folder.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as part:
            part.touch(mode=0o600)
            write_iso(part, files)


def write_iso(path: Path, files: Mapping[str, bytes]) -> None:
    """An ISO image at `path` with these files (path from the root: contents)."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=ISO_9660_1999, joliet=3, rock_ridge="1.09", vol_ident=VOLUME_LABEL)
    folders = {str(parent) for name in files for parent in Path(name).parents} - {"."}
    try:
        for folder in sorted(folders):
            iso.add_directory(f"/{folder}", rr_name=Path(folder).name, joliet_path=f"/{folder}")
        for name, contents in sorted(files.items()):
            iso.add_fp(
                io.BytesIO(contents),
                len(contents),
                f"/{name}",
                rr_name=Path(name).name,
                joliet_path=f"/{name}",
            )
        with path.open("r+b") as stream:
            iso.write_fp(stream)
    except pycdlib.pycdlibexception.PyCdlibException as error:
        raise DriverError(f"The config drive could not be written: {error}.") from error
    finally:
        iso.close()
