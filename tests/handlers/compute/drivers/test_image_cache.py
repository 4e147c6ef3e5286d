"""Images that strangers uploaded: converted, checked, refused; and disks that are full."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
from pathlib import Path

import msgspec
import pytest

from commands.compute.bootable import BOOTABLE_FORMATS
from handlers.compute.drivers.contract import (
    DiskFull,
    DriverError,
    ImageCorrupt,
    ImageUnavailable,
)
from handlers.compute.drivers.disks import ensure_bases, ensure_disks
from handlers.compute.drivers.image_cache import ImageCache
from handlers.compute.drivers.image_inspection import FORMATS
from tests.handlers.compute.drivers.rigs import BLANK, MIB, Image, spec_for

pytestmark = pytest.mark.usefixtures("libvirt_uri")  # it brings qemu-img


def qemu_img(*arguments: str | Path) -> str:
    command = ["qemu-img", *map(str, arguments)]
    done = subprocess.run(command, check=True, timeout=60, stdout=subprocess.PIPE, text=True)
    return done.stdout


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    return ImageCache(tmp_path / "instances")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.raw"
    path.write_bytes(os.urandom(MIB) + bytes(MIB))
    return path


@pytest.mark.parametrize(
    ("disk_format", "name"),
    [("qcow2", "qcow2"), ("vdi", "vdi"), ("vhdx", "vhdx"), ("vhd", "vpc"), ("vmdk", "vmdk")],
)
def test_other_formats_become_raw(
    cache: ImageCache, source: Path, tmp_path: Path, disk_format: str, name: str
) -> None:
    path = tmp_path / "image"
    qemu_img("convert", "-f", "raw", "-O", name, source, path)
    image = Image(path, disk_format)
    cache.ensure(spec_for(image), image.fetch)
    raw = cache.cached(image.image_id).read_bytes()
    assert raw[: 2 * MIB] == source.read_bytes()
    assert not any(raw[2 * MIB :])


def test_it_has_the_name_that_nova_gives_it(cache: ImageCache) -> None:
    image = Image(BLANK)
    cache.ensure(spec_for(image), image.fetch)
    sha1 = hashlib.sha1(image.image_id.encode()).hexdigest()
    assert (cache.folder / sha1).read_bytes() == BLANK
    assert sorted(path.name for path in cache.folder.iterdir()) == [sha1, f"{sha1}.json"]


def test_a_qcow2_that_reads_a_file_of_the_host(cache: ImageCache, tmp_path: Path) -> None:
    path = tmp_path / "evil.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", path, "1M")
    image = Image(path, "qcow2")
    with pytest.raises(ImageCorrupt, match="refers to another file"):
        cache.ensure(spec_for(image), image.fetch)


def test_a_qcow2_whose_data_is_in_a_file_of_the_host(cache: ImageCache, tmp_path: Path) -> None:
    path, outside = tmp_path / "evil.qcow2", tmp_path / "outside"
    qemu_img("create", "-q", "-f", "qcow2", "-o", f"data_file={outside}", path, "1M")
    image = Image(path, "qcow2")
    with pytest.raises(ImageCorrupt, match="refers to another file"):
        cache.ensure(spec_for(image), image.fetch)


@pytest.mark.parametrize(("declared", "real"), [("raw", "qcow2"), ("qcow2", "raw")])
def test_data_that_is_not_what_was_declared(
    cache: ImageCache, source: Path, tmp_path: Path, declared: str, real: str
) -> None:
    path = tmp_path / "image"
    qemu_img("convert", "-f", "raw", "-O", real, source, path)
    image = Image(path, declared)
    with pytest.raises(ImageCorrupt, match=f"declared {declared} but its data is {real}"):
        cache.ensure(spec_for(image), image.fetch)
    with pytest.raises(ImageUnavailable):
        cache.cached(image.image_id)


def test_a_vmdk_of_a_type_that_refers_to_other_files(cache: ImageCache, tmp_path: Path) -> None:
    path = tmp_path / "flat.vmdk"
    qemu_img("create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", path, "1M")
    image = Image(path, "vmdk")
    with pytest.raises(ImageCorrupt):
        cache.ensure(spec_for(image), image.fetch)


def test_a_format_that_cannot_boot(cache: ImageCache) -> None:
    image = Image(BLANK, "ami")
    with pytest.raises(DriverError, match="disk format ami cannot be booted"):
        cache.ensure(spec_for(image), image.fetch)


def test_the_formats_that_the_api_lets_pass_are_those_that_boot() -> None:
    assert FORMATS.keys() == BOOTABLE_FORMATS


def test_an_iso_image_keeps_its_size(cache: ImageCache, tmp_path: Path) -> None:
    image, folder = Image(BLANK, "iso"), tmp_path / "instances" / "guest"
    spec = spec_for(image)
    cache.ensure(spec, image.fetch)
    ensure_disks(spec, folder, cache)
    shown = msgspec.json.decode(qemu_img("info", "--output=json", folder / "disk"))
    assert shown["virtual-size"] == MIB


def test_a_full_disk_while_fetching(cache: ImageCache) -> None:
    def fetch(_image_id: str, path: Path) -> None:
        path.write_bytes(b"so far so good")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    image = Image(BLANK)
    with pytest.raises(DiskFull, match="No space is left"):
        cache.ensure(spec_for(image), fetch)
    assert list(cache.folder.iterdir()) == []


def test_a_connection_that_breaks_while_fetching(cache: ImageCache) -> None:
    def fetch(_image_id: str, _path: Path) -> None:
        raise ConnectionResetError("by peer")

    image = Image(BLANK)
    with pytest.raises(ImageUnavailable, match=image.image_id):
        cache.ensure(spec_for(image), fetch)


def test_a_base_without_its_note_is_fetched_again(cache: ImageCache) -> None:
    image = Image(BLANK)
    spec = spec_for(image)
    cache.ensure(spec, image.fetch)
    path = cache.cached(image.image_id)
    path.with_name(f"{path.name}.json").unlink()
    path.write_bytes(b"torn")
    cache.ensure(spec, image.fetch)
    assert image.fetches == 2
    assert path.read_bytes() == BLANK


def test_disks_as_the_flavor_has_them(cache: ImageCache, tmp_path: Path) -> None:
    image, folder = Image(BLANK), tmp_path / "instances" / "guest"
    spec = spec_for(image, root_gib=3, ephemeral_gib=2, swap_mib=64)
    cache.ensure(spec, image.fetch)
    ensure_disks(spec, folder, cache)
    sizes = {"disk": 3 << 30, "disk.eph0": 2 << 30, "disk.swap": 64 << 20}
    for name, size in sizes.items():
        shown = msgspec.json.decode(qemu_img("info", "--output=json", folder / name))
        assert (shown["format"], shown["virtual-size"]) == ("qcow2", size)
        assert shown["backing-filename-format"] == "raw"
    formats = msgspec.json.decode((folder / "disk.info").read_bytes())
    assert formats == {str(folder / name): "qcow2" for name in sizes}
    swap = (cache.folder / "swap_64").read_bytes()
    assert swap[4086:4096] == b"SWAPSPACE2"
    ephemeral = (cache.folder / "ephemeral_2_ext4").open("rb")
    with ephemeral:
        ephemeral.seek(1024 + 120)
        assert ephemeral.read(16).rstrip(b"\0") == b"ephemeral0"


def test_bases_are_closed_to_strangers(cache: ImageCache, tmp_path: Path) -> None:
    """An image may hold its project's secrets, and every local user could read its base. One that
    an older version left open is closed at its next use."""
    image, folder = Image(BLANK), tmp_path / "instances" / "guest"
    spec = spec_for(image, ephemeral_gib=1, swap_mib=16)
    for _ in range(2):
        cache.ensure(spec, image.fetch)
        ensure_disks(spec, folder, cache)
        ensure_bases(spec, folder, cache, image.fetch)
        bases = [path for path in cache.folder.iterdir() if path.suffix != ".json"]
        assert len(bases) == 3
        assert {stat.S_IMODE(path.stat().st_mode) for path in bases} == {0o600}
        for path in bases:
            path.chmod(0o644)


def test_existing_disks_keep_what_was_written(cache: ImageCache, tmp_path: Path) -> None:
    image, folder = Image(BLANK), tmp_path / "instances" / "guest"
    spec = spec_for(image)
    cache.ensure(spec, image.fetch)
    ensure_disks(spec, folder, cache)
    subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 0 64k", str(folder / "disk")],
        check=True,
        timeout=60,
        stdout=subprocess.DEVNULL,
    )
    before = (folder / "disk").read_bytes()
    ensure_disks(spec, folder, cache)
    assert (folder / "disk").read_bytes() == before


def test_what_was_written_fits_on_bases_that_are_made_again(
    cache: ImageCache, source: Path, tmp_path: Path
) -> None:
    image, folder = Image(source), tmp_path / "instances" / "guest"
    spec = spec_for(image, ephemeral_gib=1, swap_mib=16)
    cache.ensure(spec, image.fetch)
    ensure_disks(spec, folder, cache)
    disks = [folder / name for name in ("disk", "disk.eph0", "disk.swap")]

    def contents() -> list[bytes]:
        raw = tmp_path / "raw"
        found = []
        for disk in disks:
            qemu_img("convert", "-f", "qcow2", "-O", "raw", disk, raw)
            with raw.open("rb") as stream:
                found.append(hashlib.file_digest(stream, "sha256").digest())
        return found

    before = contents()
    for base in cache.folder.iterdir():
        base.unlink()
    ensure_bases(spec, folder, cache, image.fetch)
    assert image.fetches == 2
    assert contents() == before


def test_a_base_is_enough_for_a_start_when_its_image_is_deleted(
    cache: ImageCache, tmp_path: Path
) -> None:
    def fetch(image_id: str, _path: Path) -> None:
        raise ImageUnavailable(f"Image {image_id} is gone.")

    image, folder = Image(BLANK), tmp_path / "instances" / "guest"
    spec = spec_for(image)
    cache.ensure(spec, image.fetch)
    ensure_disks(spec, folder, cache)
    base = cache.cached(image.image_id)
    base.with_name(f"{base.name}.json").unlink()
    ensure_bases(spec, folder, cache, fetch)
    base.unlink()
    with pytest.raises(ImageUnavailable, match="is gone"):
        ensure_bases(spec, folder, cache, fetch)


def test_a_root_of_zero_has_the_images_size(cache: ImageCache, tmp_path: Path) -> None:
    image, folder = Image(BLANK), tmp_path / "instances" / "guest"
    spec = spec_for(image, root_gib=0)
    cache.ensure(spec, image.fetch)
    ensure_disks(spec, folder, cache)
    shown = msgspec.json.decode(qemu_img("info", "--output=json", folder / "disk"))
    assert shown["virtual-size"] == MIB
