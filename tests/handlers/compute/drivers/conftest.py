"""Hosts to test on: simulated always, libvirt where a libvirtd runs or can be installed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronova.demo_image import DemoImage, DemoImageUnavailable, build
from chronova.embedded.libvirtd import LibvirtMissing, ensure_libvirt, stop_libvirt
from tests.handlers.compute.drivers.rigs import LibvirtRig, Rig, SimulatedRig

DEMO_CACHE = Path(__file__).parents[4] / ".cache" / "demo_image"


@pytest.fixture(autouse=True)
def software_emulation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine offers: the suite is the same everywhere."""
    monkeypatch.setenv("CHRONOVA_VIRT_TYPE", "qemu")


@pytest.fixture(scope="session")
def libvirt_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("libvirtd")
    try:
        uri = ensure_libvirt(folder, print)
    except LibvirtMissing as reason:
        pytest.skip(f"no libvirt: {reason}")
    yield uri
    stop_libvirt(folder)


@pytest.fixture(scope="session")
def demo_image() -> DemoImage:
    try:
        return build(DEMO_CACHE, print)
    except DemoImageUnavailable as reason:
        pytest.skip(f"no demo image: {reason}")


@pytest.fixture
def guest_folder() -> Iterator[Path]:
    """Where QEMU may read even when it is not root, unlike pytest's own folders."""
    folder = Path(tempfile.mkdtemp(prefix="chronova-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def libvirt_rig(libvirt_uri: str, demo_image: DemoImage, guest_folder: Path) -> Iterator[Rig]:
    rig = LibvirtRig(guest_folder, libvirt_uri, demo_image)
    yield rig
    rig.close()


@pytest.fixture
def simulated_rig(tmp_path: Path) -> Iterator[Rig]:
    rig = SimulatedRig(tmp_path)
    yield rig
    rig.close()


@pytest.fixture(params=["simulated", "libvirt"])
def rig(request: pytest.FixtureRequest) -> Rig:
    chosen: Rig = request.getfixturevalue(f"{request.param}_rig")
    return chosen
