"""What is promised of a disk, and what of it has been written, on a disk of a known size."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from handlers.compute.drivers.contract import DiskFull
from handlers.compute.drivers.disk_room import ROOM_KEPT_BYTES, room_for
from tests.handlers.compute.drivers.rigs import BLANK, MIB, Image, spec_for

FREE = 100 * MIB
Usage = namedtuple("Usage", ["total", "used", "free"])
SPEC = spec_for(Image(BLANK))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """On a disk that has ``FREE`` bytes beside what is kept, and what is written in the folder."""

    def usage(path: Path) -> Usage:
        used = sum(file.stat().st_blocks * 512 for file in tmp_path.iterdir())
        return Usage(0, used, ROOM_KEPT_BYTES + FREE - used)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    return tmp_path


def test_all_that_is_free_and_no_more(folder: Path) -> None:
    with room_for(SPEC, folder / "a", FREE):
        pass
    with pytest.raises(DiskFull), room_for(SPEC, folder / "a", FREE + 1):
        pass


def test_what_is_promised_to_others_is_taken(folder: Path) -> None:
    with room_for(SPEC, folder / "a", 60 * MIB):
        with pytest.raises(DiskFull), room_for(SPEC, folder / "b", 41 * MIB):
            pass
        with room_for(SPEC, folder / "c", 40 * MIB):
            pass
    with room_for(SPEC, folder / "b", 41 * MIB):
        pass


def test_what_was_written_is_not_counted_twice(folder: Path) -> None:
    with room_for(SPEC, folder / "a", 60 * MIB):
        (folder / "a").write_bytes(b"x" * 60 * MIB)
        with room_for(SPEC, folder / "b", 39 * MIB):
            pass
