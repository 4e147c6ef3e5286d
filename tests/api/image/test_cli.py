"""The unmodified openstack command line, with real tokens and the real catalog."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import projections.image  # noqa: F401
from tests.api.image.conftest import serving
from tests.api.image.samples import qcow2
from tests.parts.cloud import DEMO_PASSWORD, cloud
from tests.parts.postgres import PostgresServer

Openstack = Callable[..., Any]


@pytest.fixture
def openstack(database: PostgresServer, tmp_path: Path) -> Iterator[Openstack]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    user = {
        "OS_AUTH_URL": f"{url}/identity/v3",
        "OS_USERNAME": "demo",
        "OS_PASSWORD": DEMO_PASSWORD,
        "OS_PROJECT_NAME": "demo",
        "OS_USER_DOMAIN_ID": "default",
        "OS_PROJECT_DOMAIN_ID": "default",
        "OS_IDENTITY_API_VERSION": "3",
    }

    def run(*arguments: str, ok: bool = True) -> Any:
        command = [sys.executable, "-m", "openstackclient.shell", *arguments]
        ended = subprocess.run(
            command, env=os.environ | user, capture_output=True, text=True, timeout=120
        )
        assert (ended.returncode == 0) is ok, ended.stderr
        if not ok:
            return ended.stderr
        return json.loads(ended.stdout) if "json" in arguments else ended.stdout

    with (
        cloud(database.url, tmp_path, ("identity", "image"), public_url=url) as running,
        serving(running.app, port),
    ):
        yield run


def test_an_image_comes_is_changed_and_goes(openstack: Openstack, tmp_path: Path) -> None:
    disk, copy = tmp_path / "disk.qcow2", tmp_path / "copy.qcow2"
    disk.write_bytes(qcow2(size=1 << 30))
    create = ["image", "create", "disk", "--file", str(disk), "-f", "json"]
    made = openstack(*create, "--disk-format", "qcow2", "--property", "os_distro=debian")
    assert (made["status"], made["size"]) == ("active", 65536)
    assert openstack("image", "list", "-f", "json") == [
        {"ID": made["id"], "Name": "disk", "Status": "active"}
    ]
    openstack("image", "set", "disk", "--min-ram", "64", "--property", "a=b", "--tag", "t")
    shown = openstack("image", "show", "disk", "-f", "json")
    assert (shown["min_ram"], shown["tags"], shown["virtual_size"]) == (64, ["t"], 1 << 30)
    assert shown["properties"]["a"] == "b"
    openstack("image", "save", "--file", str(copy), "disk")
    assert copy.read_bytes() == disk.read_bytes()
    error = openstack("image", "set", "--public", "disk", ok=False)
    assert "publicize_image" in error
    openstack("image", "delete", "disk")
    assert openstack("image", "list", "-f", "json") == []
    assert "No Image found for disk" in openstack("image", "show", "disk", ok=False)
