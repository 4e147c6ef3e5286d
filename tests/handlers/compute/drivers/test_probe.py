"""The choice of virtualisation: never believed, always tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlers.compute.drivers import probe
from handlers.compute.drivers.contract import DriverError


@pytest.mark.usefixtures("libvirt_uri")
def test_the_probes_guest_runs_to_its_end_under_emulation() -> None:
    assert probe.boots("tcg") is True


@pytest.mark.usefixtures("libvirt_uri")
def test_a_guest_that_is_not_done_in_time_counts_as_hung() -> None:
    assert probe.boots("tcg", timeout_s=0.001) is False


@pytest.mark.usefixtures("libvirt_uri")
def test_an_accelerator_that_qemu_has_not() -> None:
    assert probe.boots("warp") is False


def test_the_environment_overrides_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHRONOVA_VIRT_TYPE", "qemu")
    assert probe.choose_virt_type("kvm") == "qemu"
    monkeypatch.delenv("CHRONOVA_VIRT_TYPE")
    assert probe.choose_virt_type("kvm") == "kvm"


def test_auto_without_kvm_is_emulation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHRONOVA_VIRT_TYPE")
    monkeypatch.setattr(probe, "KVM", tmp_path / "kvm")
    assert probe.choose_virt_type("auto") == "qemu"


def test_a_choice_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHRONOVA_VIRT_TYPE", "vbox")
    with pytest.raises(DriverError, match="'vbox' is none of auto, qemu, kvm"):
        probe.choose_virt_type("auto")
