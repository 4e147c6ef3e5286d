"""The choice of virtualisation: never believed, always tried, with what will be defined."""

from __future__ import annotations

import contextlib
import importlib
import os
from pathlib import Path
from types import ModuleType

import pytest
from lxml import etree

from handlers.compute.drivers import probe
from handlers.compute.drivers.contract import DriverError, HypervisorUnavailable
from handlers.compute.drivers.domain_host import domain_host
from handlers.compute.drivers.domain_xml import DomainHost, domain_xml
from tests.handlers.compute.drivers.rigs import BLANK, Image, spec_for


def libvirt_probe() -> ModuleType:
    """The module; only after the fixture ``libvirt_uri``, which installs what it imports."""
    return importlib.import_module("handlers.compute.drivers.libvirt_probe")


def running(folder: Path) -> list[bytes]:
    """The command lines of processes with files in this folder."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            commands.append(path.read_bytes())
    return [command for command in commands if os.fsencode(folder) in command]


def boots(uri: str, folder: Path, timeout_s: float = 60, **host: str) -> bool:
    """Whether the probe's guest ran; nothing of it may be left."""
    ran: bool = libvirt_probe().boots(
        uri, domain_host("host-1: probe", "qemu", folder, **host), folder, timeout_s
    )
    assert running(folder) == []
    assert list(folder.iterdir()) == []
    return ran


def test_a_guest_that_runs(libvirt_uri: str, guest_folder: Path) -> None:
    assert boots(libvirt_uri, guest_folder) is True
    assert boots(libvirt_uri, guest_folder, machine="q35") is True


def test_a_guest_that_libvirt_cannot_start(libvirt_uri: str, guest_folder: Path) -> None:
    assert boots(libvirt_uri, guest_folder, machine="pc-of-no-qemu") is False


@pytest.mark.parametrize("timeout_s", [0.001, 3])
def test_a_guest_that_does_not_execute_in_time(
    libvirt_uri: str, guest_folder: Path, timeout_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_BOOT_CODE", b"\xfa\xf4")  # cli; hlt: as one that hangs
    assert boots(libvirt_uri, guest_folder, timeout_s) is False


def test_what_a_killed_probe_left(libvirt_uri: str, guest_folder: Path) -> None:
    (guest_folder / libvirt_probe().FOLDER).mkdir()
    (guest_folder / libvirt_probe().FOLDER / "disk").touch()
    assert boots(libvirt_uri, guest_folder) is True


def test_without_libvirtd_nothing_is_known(libvirt_uri: str, guest_folder: Path) -> None:
    with pytest.raises(HypervisorUnavailable):
        boots_of = libvirt_probe().boots
        host = domain_host("host-1: probe", "qemu", guest_folder)
        boots_of(f"qemu+unix:///system?socket={guest_folder}/none", host, guest_folder)
    assert list(guest_folder.iterdir()) == []


def test_it_is_defined_as_all_guests_are(libvirt_uri: str) -> None:
    host = DomainHost(name="host-1", virt_type="kvm")
    xml = domain_xml(libvirt_probe().probe_spec(), host, Path("/f"))
    probed, guest = (
        etree.fromstring(text)
        for text in (xml, domain_xml(spec_for(Image(BLANK)), host, Path("/f")))
    )
    assert probed.get("type") == guest.get("type") == "kvm"
    for part in ("os", "features", "cpu", "clock", "devices"):
        here, there = probed.find(part), guest.find(part)
        assert here is not None and there is not None
        assert etree.tostring(here) == etree.tostring(there)


@pytest.mark.parametrize(("runs", "chosen"), [(True, "kvm"), (False, "qemu")])
def test_auto_is_what_runs(
    runs: bool, chosen: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CHRONOVA_VIRT_TYPE")
    monkeypatch.setattr(probe, "KVM", tmp_path)
    assert probe.choose_virt_type("auto", lambda: runs) == chosen


def never() -> bool:
    raise AssertionError("nothing is to be tried")


def test_the_environment_overrides_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHRONOVA_VIRT_TYPE", "qemu")
    assert probe.choose_virt_type("kvm", never) == "qemu"
    monkeypatch.delenv("CHRONOVA_VIRT_TYPE")
    assert probe.choose_virt_type("kvm", never) == "kvm"


def test_auto_without_kvm_is_emulation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHRONOVA_VIRT_TYPE")
    monkeypatch.setattr(probe, "KVM", tmp_path / "kvm")
    assert probe.choose_virt_type("auto", never) == "qemu"


def test_a_choice_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHRONOVA_VIRT_TYPE", "vbox")
    with pytest.raises(DriverError, match="'vbox' is none of auto, qemu, kvm"):
        probe.choose_virt_type("auto", never)
