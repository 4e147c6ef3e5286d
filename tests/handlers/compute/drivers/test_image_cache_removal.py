"""Nothing of `_base` stays that no guest uses, and nothing goes that one does."""

from __future__ import annotations

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from handlers.compute.drivers.contract import ImageUnavailable
from handlers.compute.drivers.disks import ensure_bases, ensure_disks
from handlers.compute.drivers.image_cache import ImageCache
from handlers.compute.drivers.image_cache_removal import backing_file, remove_unused
from tests.handlers.compute.drivers.rigs import BLANK, Image, spec_for

pytestmark = pytest.mark.usefixtures("libvirt_uri")  # it brings qemu-img

DAY_S = 86_400.0


@pytest.fixture
def instances(tmp_path: Path) -> Path:
    folder = tmp_path / "instances"
    folder.mkdir()
    return folder


@pytest.fixture
def cache(instances: Path) -> ImageCache:
    return ImageCache(instances)


def build(cache: ImageCache, folder: Path, image: Image) -> None:
    """A guest's files, with all kinds of disks; as often as its bases are removed meanwhile."""
    spec = spec_for(image, ephemeral_gib=1, swap_mib=16)
    while True:
        try:
            cache.ensure(spec, image.fetch)
            return ensure_disks(spec, folder, cache)
        except ImageUnavailable:
            continue


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def grow_old(cache: ImageCache) -> None:
    for path in cache.folder.iterdir():
        os.utime(path, (0, 0))


def test_all_of_a_guest_that_is_gone(cache: ImageCache, instances: Path) -> None:
    image = Image(BLANK)
    build(cache, instances / "guest", image)
    grow_old(cache)
    shutil.rmtree(instances / "guest")
    base = cache.path(image.image_id).name
    assert remove_unused(cache, instances, DAY_S) == [base, "ephemeral_1_ext4", "swap_16"]
    assert (names(cache.folder), names(cache.locks)) == ([], [])


@pytest.mark.parametrize("folder", ["guest", "guest_del", "guest_resize"])
def test_what_a_guest_uses_stays_and_its_age_begins_again(
    cache: ImageCache, instances: Path, folder: str
) -> None:
    build(cache, instances / folder, Image(BLANK))
    before = names(cache.folder)
    grow_old(cache)
    assert remove_unused(cache, instances, DAY_S) == []
    assert names(cache.folder) == before
    shutil.rmtree(instances / folder)
    assert remove_unused(cache, instances, DAY_S) == []


def test_what_is_unused_stays_until_it_is_old(cache: ImageCache, instances: Path) -> None:
    image = Image(BLANK)
    cache.ensure(spec_for(image), image.fetch)
    assert remove_unused(cache, instances, DAY_S) == []
    grow_old(cache)
    assert remove_unused(cache, instances, DAY_S) == [cache.path(image.image_id).name]


def test_what_a_killed_fetch_left(cache: ImageCache, instances: Path) -> None:
    image = Image(BLANK)
    cache.ensure(spec_for(image), image.fetch)
    path = cache.path(image.image_id)
    whole = names(cache.folder)
    for suffix in (".part", ".converted", ".json.new"):
        path.with_name(path.name + suffix).touch()
    path.with_name("swap_7.part").touch()
    assert remove_unused(cache, instances, DAY_S) == []
    assert names(cache.folder) == whole


def test_a_fetch_under_way_is_left_alone(cache: ImageCache, instances: Path) -> None:
    name = "ab" * 20
    with cache.locked(name):
        (cache.folder / f"{name}.part").touch()
        assert remove_unused(cache, instances, 0) == []
        assert names(cache.folder) == [f"{name}.part"]


def test_files_of_others_are_left_alone(cache: ImageCache, instances: Path) -> None:
    cache.folder.mkdir(parents=True)
    (cache.folder / "README").touch()
    grow_old(cache)
    assert remove_unused(cache, instances, 0) == []
    assert names(cache.folder) == ["README"]


def test_nothing_goes_when_a_file_cannot_be_read(cache: ImageCache, instances: Path) -> None:
    build(cache, instances / "guest", Image(BLANK))
    grow_old(cache)
    shutil.rmtree(instances / "guest")
    (instances / "other").mkdir()
    (instances / "other" / "disk").symlink_to("disk")
    before = names(cache.folder)
    with pytest.raises(OSError, match="symbolic links"):
        remove_unused(cache, instances, DAY_S)
    assert names(cache.folder) == before


def test_builds_beside_removals_end_with_whole_guests(cache: ImageCache, instances: Path) -> None:
    images, ended = [Image(BLANK), Image(BLANK)], threading.Event()

    def boot(number: int) -> None:
        folder = instances / f"guest{number}"
        build(cache, folder, images[number % 2])
        if number % 3:
            shutil.rmtree(folder)

    def remove() -> None:
        while not ended.is_set():
            remove_unused(cache, instances, 0)

    with ThreadPoolExecutor(5) as threads:
        removing = threads.submit(remove)
        for boots in [threads.submit(boot, number) for number in range(24)]:
            boots.result(timeout=120)
        ended.set()
        removing.result(timeout=60)
    disks = [d for d in instances.glob("guest*/disk*") if d.suffix != ".info"]
    assert len(disks) == 3 * 8
    assert all(Path(backing_file(disk) or "").is_file() for disk in disks)


def test_what_was_removed_by_mistake_is_had_again(cache: ImageCache, instances: Path) -> None:
    image, folder = Image(BLANK), instances / "guest"
    build(cache, folder, image)
    shutil.rmtree(cache.folder)
    shutil.rmtree(cache.locks)
    ensure_bases(spec_for(image, ephemeral_gib=1, swap_mib=16), folder, cache, image.fetch)
    assert image.fetches == 2
    assert {"ephemeral_1_ext4", "swap_16"} < set(names(cache.folder))
