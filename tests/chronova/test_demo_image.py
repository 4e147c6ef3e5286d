"""The demo image: repeatable, kept, and honest about what is missing. (That it boots: the driver
contract's tests.)"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import msgspec
import pytest

from chronova.demo_image import DemoImage, DemoImageUnavailable, build

MIB = 1 << 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def image(folder: Path) -> DemoImage:
    try:
        return build(folder, print)
    except DemoImageUnavailable as reason:
        pytest.skip(f"no demo image: {reason}")


def test_a_small_disk_with_one_active_partition(image: DemoImage) -> None:
    contents = image.path.read_bytes()
    assert len(contents) == image.size_bytes <= 40 * MIB
    assert hashlib.sha512(contents).hexdigest() == image.sha512
    assert contents[510:512] == b"\x55\xaa"
    active, kind, start, sectors = struct.unpack_from("<B3xB3xII", contents, 446)
    assert (active, kind, start) == (0x80, 0x0E, 2048)
    assert (start + sectors) * 512 == len(contents)
    assert any(name.startswith("linux-image-") for name in image.packages)


def test_it_is_found_again_and_rebuilt_the_same_when_torn(image: DemoImage, folder: Path) -> None:
    said: list[str] = []
    assert build(folder, said.append) == image
    assert said == []
    with image.path.open("r+b") as stream:
        stream.truncate(MIB)
    assert build(folder, said.append) == image
    assert said[0].startswith("Building the demo image")
    assert sorted(path.name for path in folder.iterdir()) == [
        image.path.with_suffix(".json").name,
        image.path.name,
    ]


def test_a_folder_that_was_moved(image: DemoImage, tmp_path: Path) -> None:
    for path in (image.path, image.path.with_suffix(".json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    found = build(tmp_path, print)
    assert found == msgspec.structs.replace(image, path=tmp_path / image.path.name)


def test_a_machine_without_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(DemoImageUnavailable, match="needs apt-get, which is not here"):
        build(tmp_path, print)
    assert list(tmp_path.iterdir()) == []
