"""The config drive, read back: what cloud-init and others expect of Nova's."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pycdlib
import pytest

from handlers.compute.drivers.config_drive import ensure_config_drive
from handlers.compute.drivers.contract import DriverError, GuestSecrets, GuestSpec, ReadSecrets
from handlers.compute.drivers.instance_metadata import VERSIONS
from tests.handlers.compute.drivers.rigs import ALL_GIVEN, BLANK, Image, full_spec, given, spec_for


class Drive:
    """An ISO 9660 file, read by its Rock Ridge or its Joliet names."""

    def __init__(self, path: Path) -> None:
        self._iso = pycdlib.PyCdlib()
        self._iso.open(str(path))
        self.label = self._iso.pvd.volume_identifier.decode().strip()

    def files(self, names: str = "rr") -> set[str]:
        return {
            f"{folder}/{name}".lstrip("/")
            for folder, _, found in self._iso.walk(**{f"{names}_path": "/"})
            for name in found
        }

    def read(self, name: str, names: str = "rr") -> bytes:
        contents = io.BytesIO()
        self._iso.get_file_from_iso_fp(contents, **{f"{names}_path": f"/{name}"})
        return contents.getvalue()

    def json(self, name: str) -> Any:
        return json.loads(self.read(name))

    def close(self) -> None:
        self._iso.close()


def drive_of(spec: GuestSpec, folder: Path, read_secrets: ReadSecrets = ALL_GIVEN) -> Drive:
    ensure_config_drive(spec, folder, read_secrets)
    return Drive(folder / "disk.config")


def test_all_versions_have_their_files(tmp_path: Path) -> None:
    drive = drive_of(full_spec(Image(BLANK)), tmp_path)
    assert drive.label == "config-2"
    assert drive.files("rr") == drive.files("joliet")
    expected = {f"openstack/{version}/meta_data.json" for version in VERSIONS}
    expected |= {f"openstack/{version}/user_data" for version in VERSIONS}
    for name, since in (
        ("vendor_data.json", "2013-10-17"),
        ("network_data.json", "2015-10-15"),
        ("vendor_data2.json", "2016-10-06"),
    ):
        expected |= {f"openstack/{version}/{name}" for version in VERSIONS if version >= since}
    for version in ("2009-04-04", "latest"):
        expected |= {f"ec2/{version}/meta-data.json", f"ec2/{version}/user-data"}
    assert drive.files() == expected
    drive.close()


def test_the_latest_metadata(tmp_path: Path) -> None:
    spec = full_spec(Image(BLANK))
    drive = drive_of(spec, tmp_path)
    meta = drive.json("openstack/latest/meta_data.json")
    assert len(base64.b64decode(meta.pop("random_seed"))) == 512
    assert meta == {
        "uuid": spec.server_id,
        "hostname": "full.novalocal",
        "name": "full",
        "launch_index": 0,
        "availability_zone": "nova",
        "meta": {"role": "web"},
        "public_keys": {"laptop": "ssh-ed25519 AAAA me"},
        "keys": [{"name": "laptop", "type": "ssh", "data": "ssh-ed25519 AAAA me"}],
        "admin_pass": "correct horse",
        "project_id": spec.project_id,
        "devices": [],
        "dedicated_cpus": [],
    }
    assert drive.read("openstack/latest/user_data") == b"#!/bin/sh\necho from user_data\n"
    assert drive.read("openstack/latest/user_data", "joliet").startswith(b"#!/bin/sh")
    assert drive.json("openstack/latest/network_data.json") == {
        "links": [],
        "networks": [],
        "services": [],
    }
    drive.close()


def test_the_oldest_metadata_lacks_what_came_later(tmp_path: Path) -> None:
    drive = drive_of(full_spec(Image(BLANK)), tmp_path)
    meta = drive.json("openstack/2012-08-10/meta_data.json")
    assert not {"random_seed", "project_id", "devices", "dedicated_cpus"} & set(meta)
    assert "random_seed" in drive.json("openstack/2013-04-04/meta_data.json")
    drive.close()


def test_ec2s_metadata(tmp_path: Path) -> None:
    spec = full_spec(Image(BLANK))
    drive = drive_of(spec, tmp_path)
    meta = drive.json("ec2/latest/meta-data.json")
    assert meta["instance-id"] == f"i-{spec.server_id[:8]}"
    assert meta["local-hostname"] == "full.novalocal"
    assert meta["public-keys"]["0"]["openssh-key"] == "ssh-ed25519 AAAA me"
    assert drive.read("ec2/2009-04-04/user-data").endswith(b"user_data\n")
    drive.close()


def test_a_plain_server_with_a_drive(tmp_path: Path) -> None:
    drive = drive_of(spec_for(Image(BLANK), config_drive=True), tmp_path, GuestSecrets)
    meta = drive.json("openstack/latest/meta_data.json")
    assert not {"admin_pass", "meta", "public_keys", "keys"} & set(meta)
    assert not any(name.endswith("user_data") for name in drive.files())
    drive.close()


def unread() -> GuestSecrets:
    raise AssertionError("secrets are read only for a drive that is made")


def test_no_drive_unless_wanted(tmp_path: Path) -> None:
    image = Image(BLANK)
    ensure_config_drive(spec_for(image), tmp_path, unread)
    assert list(tmp_path.iterdir()) == []
    mandatory = spec_for(image, image_properties={"img_config_drive": "mandatory"})
    ensure_config_drive(mandatory, tmp_path, ALL_GIVEN)
    assert [path.name for path in tmp_path.iterdir()] == ["disk.config"]


def test_it_is_written_once_and_for_few_eyes(tmp_path: Path) -> None:
    spec = full_spec(Image(BLANK))
    ensure_config_drive(spec, tmp_path, ALL_GIVEN)
    path = tmp_path / "disk.config"
    before = path.read_bytes()
    ensure_config_drive(spec, tmp_path, unread)
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o600


def test_user_data_of_any_bytes(tmp_path: Path) -> None:
    contents = bytes(range(256)) * 256
    drive = drive_of(spec_for(Image(BLANK), config_drive=True), tmp_path, given(contents))
    assert drive.read("openstack/latest/user_data") == contents
    drive.close()


def test_user_data_that_is_not_base64(tmp_path: Path) -> None:
    odd = GuestSecrets(user_data="a")
    spec = spec_for(Image(BLANK), config_drive=True)
    with pytest.raises(DriverError, match="not base64"):
        ensure_config_drive(spec, tmp_path, lambda: odd)
    assert list(tmp_path.iterdir()) == []
