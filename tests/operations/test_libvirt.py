"""Real guests: the walkthrough and what may happen to a guest, under libvirt and QEMU.

Runs wherever a libvirtd answers or can be installed. Emulated: a boot takes seconds.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chronova.demo_image import DemoImageUnavailable, build
from chronova.embedded.libvirt_install import LibvirtMissing
from chronova.embedded.libvirtd import URI, ensure_libvirt, stop_libvirt
from tests.operations.test_walkthrough import check, walk
from tests.parts.site import SDK_WARNS_OF_ITSELF, Site, site

pytestmark = [pytest.mark.service, pytest.mark.timeout(600), *SDK_WARNS_OF_ITSELF]

DEMO_CACHE = Path(__file__).parents[2] / ".cache" / "demo_image"
BOOT = ("server", "create", "--image", "demo", "--flavor", "m1.tiny", "--nic", "none")


@pytest.fixture(scope="module")
def demo_images() -> Path:
    try:
        build(DEMO_CACHE, print)
    except DemoImageUnavailable as reason:
        pytest.skip(f"no demo image: {reason}")
    return DEMO_CACHE


@pytest.fixture(scope="module")
def host(demo_images: Path) -> Iterator[Site]:
    """A site whose host has a hypervisor, with the demo image."""
    folder = Path(tempfile.mkdtemp(prefix="chronova-libvirtd-", dir="/var/tmp"))
    try:
        try:
            ensure_libvirt(folder, print)
        except LibvirtMissing as reason:
            pytest.skip(f"no libvirt: {reason}")
        with site("postgres", "libvirt", demo_images=demo_images) as running:
            yield running
    finally:
        stop_libvirt(folder)
        shutil.rmtree(folder)


def virsh(*arguments: str) -> str:
    command = ["virsh", "--quiet", "--connect", URI, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def console(site: Site, name: str) -> str:
    return site.openstack("console", "log", "show", name).out


def status(site: Site, name: str) -> tuple[str, Any]:
    shown = site.shown("server", "show", name)
    return shown["status"], shown["OS-EXT-STS:task_state"]


def ready(site: Site, name: str) -> None:
    text = r"chronova-demo: ready after"
    site.until(lambda: bool(re.search(text, console(site, name))), f"{name} is ready", 120)


def leaves_nothing(site: Site, server_id: str) -> None:
    assert server_id not in virsh("list", "--all", "--uuid")
    assert list((site.data / "instances").glob(f"*/{server_id}*")) == []


def test_the_walkthrough(host: Site) -> None:
    before = virsh("list", "--all", "--name")
    printed = walk(host)
    check(printed)
    assert "chronova-demo: hostname vm1" in printed["openstack console log show vm1"]
    assert virsh("list", "--all", "--name") == before, "what others have there stays, ours is gone"


def test_a_guest_gets_what_its_server_was_given(host: Site, tmp_path: Path) -> None:
    user_data, key = tmp_path / "user-data", tmp_path / "key"
    user_data.write_text("#!/bin/sh\necho the guest says $(hostname)\n")
    host.openstack("keypair", "create", "--private-key", str(key), "own")
    given = ("--key-name", "own", "--user-data", str(user_data), "--config-drive", "True")
    host.openstack(*BOOT, *given, "--property", "role=web", "--wait", "given")
    said = "user_data: the guest says given"
    host.until(lambda: said in console(host, "given"), "the user data has run", 120)
    text = console(host, "given")
    assert "Linux version" in text
    for line in ("hostname given", "metadata role = web", "key own"):
        assert f"chronova-demo: {line}\n" in text.replace("\r", "")
    assert "chronova-demo: root's password is the server's adminPass" in text

    host.openstack("server", "stop", "given")
    host.until(lambda: status(host, "given") == ("SHUTOFF", None), "it is off", 120)
    host.openstack("server", "start", "given")
    host.until(lambda: status(host, "given") == ("ACTIVE", None), "it is on", 120)
    ready(host, "given")
    for how in ("--soft", "--hard"):
        host.openstack("server", "reboot", how, "--wait", "given")
        assert status(host, "given")[0] == "ACTIVE"
        ready(host, "given")
    server_id = host.shown("server", "show", "given")["id"]
    host.openstack("server", "delete", "--wait", "given")
    leaves_nothing(host, server_id)


def test_a_guest_that_halts_itself_is_shutoff(host: Site, tmp_path: Path) -> None:
    user_data = tmp_path / "user-data"
    user_data.write_text("#!/bin/sh\npoweroff -f\n")
    given = ("--user-data", str(user_data), "--config-drive", "True", "--wait")
    host.openstack(*BOOT, *given, "tired")
    host.until(lambda: status(host, "tired") == ("SHUTOFF", None), "it is SHUTOFF", 120)
    host.openstack("server", "delete", "--wait", "tired")


def test_an_agent_killed_in_the_middle_of_a_boot_goes_on(host: Site) -> None:
    with host.sdk() as cloud:
        flavor = cloud.compute.find_flavor("m1.tiny", ignore_missing=False)
        made = cloud.compute.create_server(
            name="steady", image_id=host.image, flavor_id=flavor.id, networks="none"
        )
        spawned = ("spawning", "active")
        host.until(
            lambda: (
                (server := cloud.compute.get_server(made.id)).task_state in spawned
                or server.vm_state in spawned
            ),
            "the host has begun",
        )
        os.kill(int((host.data / "run" / "agent.pid").read_text()), signal.SIGKILL)
        server = cloud.compute.wait_for_server(made, interval=0.2, wait=120)
        assert server.status == "ACTIVE"
        assert virsh("domstate", made.id).strip() == "running"
        cloud.compute.delete_server(made)
        os.kill(int((host.data / "run" / "agent.pid").read_text()), signal.SIGKILL)
        cloud.compute.wait_for_delete(made, interval=0.2, wait=120)
    leaves_nothing(host, made.id)
