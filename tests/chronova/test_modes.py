"""Others on the machine get in nowhere; who must pass a folder may pass it, and nothing more."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronova import modes
from chronova.settings import Settings


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("role", ["api", "decider", "projector", "agent"])
def test_what_a_role_makes_is_closed(tmp_path: Path, role: str) -> None:
    modes.begin(Settings(data=str(tmp_path)), role)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    assert (mode(tmp_path / "file"), mode(tmp_path / "folder")) == (0o600, 0o700)


def test_qemu_passes_to_its_disks_and_nobody_reads_them(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path), driver="libvirt")
    modes.close_folder(settings)
    modes.begin(settings, "agent")
    disks = tmp_path / "instances" / "host"
    disks.mkdir()
    (disks / "disk").touch()
    assert mode(tmp_path) == 0o711
    assert mode(tmp_path / "instances") in (0o710, 0o711)
    assert (mode(disks), mode(disks / "disk")) == (0o711, 0o600)


def test_a_folder_that_was_open_is_closed(tmp_path: Path) -> None:
    above, data = tmp_path, tmp_path / "site"
    data.mkdir(mode=0o755)
    above.chmod(0o750)
    modes.close_folder(Settings(data=str(data)))
    assert mode(data) == 0o700
    modes.close_folder(Settings(data=str(data), database="embedded"))
    assert mode(data) & 0o007 == 0
    assert mode(above) == 0o750
