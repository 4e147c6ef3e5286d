"""The clients people use, unmodified, against the API over HTTP, with real tokens."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keystoneauth1.identity.v3
import keystoneauth1.session
import novaclient.client
import openstack
import pytest

from tests.api.compute.world import World
from tests.api.image.conftest import serving
from tests.parts.cloud import DEMO_PASSWORD, cloud
from tests.parts.postgres import PostgresServer

# The SDK warns of its own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
]


class Site:
    """A cloud on a port of this machine, whose one host works on by itself."""

    def __init__(self, url: str, world: World, project_id: str) -> None:
        self.url = url
        self.world = world
        self.project_id = project_id
        self.image_id = world.image(owner=project_id)
        world.host()
        world.flavor()

    @property
    def login(self) -> dict[str, Any]:
        return {
            "auth_url": f"{self.url}/identity/v3",
            "username": "demo",
            "password": DEMO_PASSWORD,
            "project_name": "demo",
            "user_domain_id": "default",
            "project_domain_id": "default",
        }

    def cli(self, *arguments: str) -> Any:
        """What ``openstack`` prints, as JSON where asked for."""
        user = {f"OS_{name.upper()}": value for name, value in self.login.items()}
        ended = subprocess.run(
            [sys.executable, "-m", "openstackclient.shell", *arguments],
            env=os.environ | user | {"OS_IDENTITY_API_VERSION": "3"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout) if "json" in arguments else ended.stdout


@pytest.fixture(scope="module")
def site(database: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    path: Path = tmp_path_factory.mktemp("site")
    packages = ("identity", "compute", "image")
    with cloud(database.url, path, packages, public_url=url) as running:
        world = World(running.services, running.bus)
        project_id = running.demo().body["project"]["id"]
        stop = threading.Event()

        def host() -> None:
            while not stop.wait(0.05):
                world.work()

        with serving(running.app, port):
            site = Site(url, world, project_id)
            thread = threading.Thread(target=host)
            thread.start()
            try:
                yield site
            finally:
                stop.set()
                thread.join(10)


def test_openstacksdk(site: Site) -> None:
    with openstack.connect(**site.login) as cloud:
        made = cloud.compute.create_server(
            name="sdk", image_id=site.image_id, flavor_id="m1.tiny", networks="none", tags=["t"]
        )
        assert len(made.admin_password) == 12
        server = cloud.compute.wait_for_server(made, interval=0.1, wait=30)
        assert (server.status, server.vm_state, server.tags) == ("ACTIVE", "active", ["t"])
        assert server.flavor.original_name == "m1.tiny"
        assert [s.id for s in cloud.compute.servers(name="sdk")] == [server.id]
        assert cloud.compute.find_server("sdk", ignore_missing=False).id == server.id
        cloud.compute.set_server_metadata(server, role="web")
        assert cloud.compute.get_server_metadata(server).metadata == {"role": "web"}
        cloud.compute.delete_server_metadata(server, ["role"])
        cloud.compute.update_server(server, name="renamed", description="d")
        cloud.compute.add_tag_to_server(server, "u")
        assert sorted(cloud.compute.get_server(server).tags) == ["t", "u"]
        cloud.compute.stop_server(server)
        cloud.compute.wait_for_server(server, "SHUTOFF", interval=0.1, wait=30)
        cloud.compute.start_server(server)
        cloud.compute.wait_for_server(server, interval=0.1, wait=30)
        cloud.compute.reboot_server(server, "HARD")
        cloud.compute.wait_for_server(server, interval=0.1, wait=30)
        cloud.compute.lock_server(server, "audit")
        assert cloud.compute.get_server(server).locked_reason == "audit"
        cloud.compute.unlock_server(server)
        with pytest.raises(openstack.exceptions.ConflictException, match="vm_state active"):
            cloud.compute.start_server(server)
        assert list(cloud.compute.server_actions(server)) == []
        cloud.compute.delete_server(server)
        cloud.compute.wait_for_delete(server, interval=0.1, wait=30)


def test_openstack_command_line(site: Site) -> None:
    with openstack.connect(**site.login) as cloud:
        made = cloud.compute.create_server(
            name="cli", image_id=site.image_id, flavor_id="m1.tiny", networks="auto"
        )
        cloud.compute.wait_for_server(made, interval=0.1, wait=30)
    log = site.world.settings.instances_path / "c1" / made.id / "console.log"
    log.parent.mkdir(parents=True)
    log.write_text("Linux version 6.1\nready\n")
    listed = site.cli("server", "list", "--no-name-lookup", "-f", "json")
    assert ("cli", "ACTIVE") in [(s["Name"], s["Status"]) for s in listed]
    shown = site.cli("server", "show", "cli", "-f", "json")
    assert (shown["id"], shown["status"]) == (made.id, "ACTIVE")
    assert site.cli("console", "log", "show", "--lines", "1", "cli").strip() == "ready"
    site.cli("server", "set", "--name", "cli2", "--property", "a=b", "--tag", "x", "cli")
    site.cli("server", "stop", "cli2")
    site.cli("server", "lock", "cli2")
    site.cli("server", "unlock", "cli2")
    assert site.cli("server", "event", "list", "cli2", "-f", "json") == []
    site.cli("server", "unset", "--property", "a", "--tag", "x", "cli2")
    site.cli("server", "delete", "--wait", "cli2")
    listed = site.cli("server", "list", "--no-name-lookup", "-f", "json")
    assert "cli2" not in [s["Name"] for s in listed]


def test_novaclient(site: Site) -> None:
    session = keystoneauth1.session.Session(keystoneauth1.identity.v3.Password(**site.login))
    nova = novaclient.client.Client("2.96", session=session)
    made = nova.servers.create("nova", site.image_id, "m1.tiny", nics="none", meta={"a": "b"})
    assert made.id in [server.id for server in nova.servers.list()]
    with openstack.connect(**site.login) as cloud:
        cloud.compute.wait_for_server(cloud.compute.get_server(made.id), interval=0.1, wait=30)
    assert nova.servers.get(made.id).metadata == {"a": "b"}
    nova.servers.update(made, name="nova2")
    nova.servers.set_meta(made, {"c": "d"})
    nova.servers.delete_meta(made, ["a"])
    nova.servers.add_tag(made, "t")
    assert nova.servers.tag_list(made) == ["t"]
    assert nova.servers.get(made.id).metadata == {"c": "d"}
    nova.servers.lock(made, reason="audit")
    nova.servers.unlock(made)
    assert nova.instance_action.list(made.id) == []
    nova.servers.force_delete(made)
    with openstack.connect(**site.login) as cloud:
        found = cloud.compute.find_server(made.id)
        if found is not None:
            cloud.compute.wait_for_delete(found, interval=0.1, wait=30)
    with pytest.raises(novaclient.exceptions.NotFound):
        nova.servers.get(made.id)
