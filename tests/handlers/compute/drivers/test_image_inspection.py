"""Images that would fill a host's disk are found out before anything of them is written."""

from __future__ import annotations

import shutil
import struct
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from handlers.compute.drivers import disk_room
from handlers.compute.drivers.contract import (
    DiskFull,
    DriverError,
    FlavorDiskTooSmall,
    ImageUnavailable,
)
from handlers.compute.drivers.image_cache import ImageCache
from handlers.compute.drivers.image_inspection import GIB, Inspected, convert, inspect
from tests.handlers.compute.drivers.rigs import BLANK, MIB, Image, spec_for
from tests.handlers.compute.drivers.test_image_cache import qemu_img

pytestmark = pytest.mark.usefixtures("libvirt_uri")  # it brings qemu-img

CLUSTER = 65536
L2_SPAN = CLUSTER // 8 * CLUSTER
COPIED = 1 << 63


def bomb(path: Path, virtual_bytes: int) -> Path:
    """A qcow2 of 384 KiB whose every cluster is the same one: 0x5a, again and again."""
    qemu_img("create", "-q", "-f", "qcow2", path, str(virtual_bytes))
    table, data = 16 * CLUSTER, 17 * CLUSTER
    with path.open("r+b") as stream:
        header = stream.read(48)
        (entries,) = struct.unpack_from(">I", header, 36)
        (l1,) = struct.unpack_from(">Q", header, 40)
        stream.seek(l1)
        stream.write(struct.pack(">Q", COPIED | table) * entries)
        stream.seek(table)
        stream.write(struct.pack(">Q", COPIED | data) * (CLUSTER // 8))
        stream.write(b"\x5a" * CLUSTER)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    return ImageCache(tmp_path / "instances")


def left(cache: ImageCache) -> list[Path]:
    return list(cache.folder.iterdir())


def test_an_image_whose_disk_is_larger_than_the_flavors(cache: ImageCache, tmp_path: Path) -> None:
    image = Image(bomb(tmp_path / "bomb", 1024 * GIB), "qcow2")
    with pytest.raises(FlavorDiskTooSmall, match=r"smaller than the image's 1099511627776 bytes"):
        cache.ensure(spec_for(image), image.fetch)
    assert left(cache) == []


def test_an_image_known_to_be_larger_is_not_even_fetched(cache: ImageCache) -> None:
    image = Image(BLANK)
    image.size_bytes = 2 * GIB
    with pytest.raises(FlavorDiskTooSmall):
        cache.ensure(spec_for(image), image.fetch)
    assert image.fetches == 0


def test_data_that_has_no_room_is_not_written(
    cache: ImageCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = shutil.disk_usage(tmp_path).free - 2 * GIB
    monkeypatch.setattr(disk_room, "ROOM_KEPT_BYTES", kept)
    image = Image(bomb(tmp_path / "bomb", 4 * GIB), "qcow2")
    with pytest.raises(DiskFull, match=r"it takes 429\d{7} bytes"):
        cache.ensure(spec_for(image, root_gib=0), image.fetch)
    assert left(cache) == []


def test_a_sparse_image_needs_only_the_room_of_its_data(
    cache: ImageCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = shutil.disk_usage(tmp_path).free - 2 * GIB
    monkeypatch.setattr(disk_room, "ROOM_KEPT_BYTES", kept)
    path = tmp_path / "sparse"
    qemu_img("create", "-q", "-f", "qcow2", path, "64G")
    image = Image(path, "qcow2")
    cache.ensure(spec_for(image, root_gib=0), image.fetch)
    assert cache.cached(image.image_id).stat().st_size == 64 * GIB


def test_no_room_for_the_download(
    cache: ImageCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_room, "ROOM_KEPT_BYTES", 1 << 60)
    image = Image(BLANK)
    with pytest.raises(DiskFull, match="No space is left"):
        cache.ensure(spec_for(image), image.fetch)
    assert (image.fetches, left(cache)) == (0, [])


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_room_is_promised_to_one_image_at_a_time(
    cache: ImageCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """Each of an agent's threads found the same room free, and they filled the disk together."""
    kept = shutil.disk_usage(tmp_path).free - 4 * GIB
    monkeypatch.setattr(disk_room, "ROOM_KEPT_BYTES", kept)
    first, second = Image(BLANK), Image(BLANK)
    first.size_bytes = second.size_bytes = 3 * GIB
    spec = spec_for(second, root_gib=0)

    def fetch(image_id: str, path: Path) -> None:
        with pytest.raises(DiskFull, match=r"promised to other images"):
            cache.ensure(spec, second.fetch)
        if ends == "badly":
            raise ImageUnavailable("The image store went away.")
        first.fetch(image_id, path)

    with suppress(ImageUnavailable):
        cache.ensure(spec_for(first, root_gib=0), fetch)
    assert second.fetches == 0
    cache.ensure(spec, second.fetch)
    assert second.fetches == 1


def test_no_more_is_written_than_the_disk_is_large(tmp_path: Path) -> None:
    image = Image(bomb(tmp_path / "bomb", 64 * MIB), "qcow2")
    spec, target = spec_for(image), tmp_path / "target"
    lied = Inspected("qcow2", MIB)
    with pytest.raises(DriverError, match=r"File too large|exit code"):
        convert(spec, lied, tmp_path / "bomb", target)
    assert not target.exists() or target.stat().st_size <= MIB


@pytest.mark.parametrize("name", ["qcow2", "vmdk", "vdi", "vhdx", "vpc", "raw"])
def test_the_size_of_the_disk_in_each_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / "image"
    qemu_img("create", "-q", "-f", name, path, "64M")
    size = msgspec.json.decode(qemu_img("info", "-f", name, "--output=json", path))["virtual-size"]
    image = Image(path, {"vpc": "vhd"}.get(name, name))
    assert inspect(spec_for(image), path) == Inspected(name, size)


def test_the_size_of_a_fixed_vhd(tmp_path: Path) -> None:
    path = tmp_path / "image"
    qemu_img("create", "-q", "-f", "vpc", "-o", "subformat=fixed,force_size=on", path, "64M")
    assert inspect(spec_for(Image(path, "vhd")), path) == Inspected("vpc", 64 * MIB)
