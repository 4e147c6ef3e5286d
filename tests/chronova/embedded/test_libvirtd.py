"""The libvirtd that Chronova brings: found when there, refused with reasons, ended if ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronova.embedded.libvirt_install import missing_packages
from chronova.embedded.libvirtd import (
    URI,
    LibvirtMissing,
    answers,
    ensure_libvirt,
    stop_libvirt,
)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "started"
    try:
        ensure_libvirt(folder, print)
    except LibvirtMissing as reason:
        pytest.skip(f"no libvirt: {reason}")
    yield folder
    stop_libvirt(folder)


def test_one_that_answers_is_used(running: Path, tmp_path: Path) -> None:
    said: list[str] = []
    other = tmp_path / "other"
    assert ensure_libvirt(other, said.append) == URI
    assert said == []
    stop_libvirt(other)  # it started nothing
    assert answers()
    assert missing_packages() == []


def test_starting_and_stopping(tmp_path: Path, running: Path) -> None:
    if not (running / "libvirt" / "libvirtd.pid").exists():
        pytest.skip("a libvirtd that is not ours runs here: it is not stopped for a test")
    stop_libvirt(running)
    assert not answers()
    assert "chronova" not in Path("/etc/libvirt/qemu.conf").read_text()
    said: list[str] = []
    assert ensure_libvirt(running, said.append) == URI
    assert len(said) == 1 and said[0].startswith("Starting virtlogd and libvirtd")
    assert answers()


def test_a_pid_file_of_another_process_ends_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "libvirt"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        for name in ("libvirtd", "virtlogd"):
            (folder / f"{name}.pid").write_text(f"{bystander.pid}\n")
        stop_libvirt(tmp_path)
        assert bystander.poll() is None


def test_a_machine_that_cannot_have_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LibvirtMissing, match=r"are missing, and there is no apt-get here\.$"):
        ensure_libvirt(tmp_path, print)
    assert list(tmp_path.iterdir()) == []
