"""The clients that operators use, unmodified: novaclient, openstacksdk, the command line."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import keystoneauth1.identity.v3
import keystoneauth1.session
import novaclient.client
import openstack
import pytest

from tests.api.compute.world import World
from tests.api.image.conftest import serving
from tests.parts.cloud import ADMIN_PASSWORD, cloud
from tests.parts.postgres import PostgresServer

# The SDK and the command line's libraries warn of their own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedFieldWarning"),
]


class Site:
    """A cloud on a port of this machine with two hosts and one server, seen by its admin."""

    def __init__(self, url: str, world: World, project_id: str) -> None:
        self.project_id = project_id
        self.login: dict[str, Any] = {
            "auth_url": f"{url}/identity/v3",
            "username": "admin",
            "password": ADMIN_PASSWORD,
            "project_name": "admin",
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        world.host("c1")
        world.flavor()
        image_id = world.image(owner=project_id)
        with openstack.connect(**self.login) as sdk:
            made = sdk.compute.create_server(
                name="vm1", image_id=image_id, flavor_id="m1.tiny", networks="none"
            )
        world.work()
        world.host("c2")
        self.server_id = str(made.id)

    def nova(self, version: str) -> Any:
        """novaclient at a microversion."""
        session = keystoneauth1.session.Session(keystoneauth1.identity.v3.Password(**self.login))
        return novaclient.client.Client(version, session=session)

    def cli(self, *arguments: str) -> Any:
        """What ``openstack … -f json`` prints."""
        user = {f"OS_{name.upper()}": value for name, value in self.login.items()}
        ended = subprocess.run(
            [sys.executable, "-m", "openstackclient.shell", *arguments, "-f", "json"],
            env=os.environ | user | {"OS_IDENTITY_API_VERSION": "3"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def site(database: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    packages = ("identity", "compute", "image", "placement")
    path = tmp_path_factory.mktemp("site")
    with cloud(database.url, path, packages, public_url=url) as running:
        project_id = running.admin().body["project"]["id"]
        with serving(running.app, port):
            yield Site(url, World(running.services, running.bus), project_id)


@pytest.mark.parametrize("version", ["2.1", "2.40", "2.53", "2.79", "2.88", "2.96"])
def test_novaclient_reads(site: Site, version: str) -> None:
    nova = site.nova(version)
    assert [s.host for s in nova.services.list(binary="nova-compute")] == ["c1", "c2"]
    hypervisors = nova.hypervisors.list()
    assert [h.hypervisor_hostname for h in hypervisors] == ["c1.test", "c2.test"]
    assert nova.hypervisors.get(hypervisors[0].id).service["host"] == "c1"
    assert nova.hypervisors.search("c2")[0].hypervisor_hostname == "c2.test"
    assert nova.availability_zones.list(detailed=True)[0].zoneName == "nova"
    quota = nova.quotas.get(site.project_id, detail=True)
    assert quota.instances["in_use"] == 1
    assert nova.quotas.defaults(site.project_id).cores == 20
    assert nova.quota_classes.get("default").ram == 51200
    limits = {limit.name: limit.value for limit in nova.limits.get().absolute}
    assert limits["totalInstancesUsed"] == 1
    assert nova.server_groups.list() == []
    assert nova.migrations.list() == []
    assert nova.servers.interface_list(site.server_id) == []
    assert nova.servers.list_security_group(site.server_id) == []
    assert nova.volumes.get_server_volumes(site.server_id) == []


def test_novaclient_statistics_end_at_2_88(site: Site) -> None:
    assert site.nova("2.87").hypervisor_stats.statistics().vcpus_used == 1
    with pytest.raises(novaclient.exceptions.UnsupportedVersion):
        site.nova("2.88").hypervisor_stats.statistics()


def test_novaclient_writes(site: Site) -> None:
    nova = site.nova("2.53")
    service = nova.services.list(host="c2")[0]
    disabled = nova.services.disable_log_reason(service.id, "fan")
    assert (disabled.status, disabled.disabled_reason) == ("disabled", "fan")
    assert nova.services.enable(service.id).status == "enabled"
    aggregate = nova.aggregates.create("rack", "z1")
    nova.aggregates.add_host(aggregate, "c2")
    nova.aggregates.set_metadata(aggregate, {"ssd": "true"})
    shown = nova.aggregates.get(aggregate)
    assert (shown.hosts, shown.metadata["ssd"]) == (["c2"], "true")
    nova.aggregates.remove_host(aggregate, "c2")
    nova.aggregates.delete(aggregate)
    assert nova.aggregates.list() == []
    pair = nova.keypairs.create("made")
    assert pair.private_key.startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert [each.name for each in nova.keypairs.list()] == ["made"]
    nova.keypairs.delete("made")
    nova.quotas.update(site.project_id, instances=11, force=True)
    assert nova.quotas.get(site.project_id).instances == 11
    nova.quotas.delete(site.project_id)
    assert nova.quotas.get(site.project_id).instances == 10


def test_openstacksdk(site: Site) -> None:
    with openstack.connect(**site.login) as sdk:
        assert [s.host for s in sdk.compute.services(binary="nova-compute")] == ["c1", "c2"]
        found = sdk.compute.find_hypervisor("c2.test", ignore_missing=False)
        assert sdk.compute.get_hypervisor(found.id).service_details["host"] == "c2"
        usage = sdk.compute.get_usage(site.project_id)
        assert [one["name"] for one in usage.server_usages] == ["vm1"]
        assert sdk.compute.get_limits().absolute.total_cores_used == 1
        (provider,) = sdk.placement.resource_providers(name="c2.test")
        assert provider.id == found.id
        inventories = sdk.placement.resource_provider_inventories(provider)
        assert {each.resource_class for each in inventories} == {"VCPU", "MEMORY_MB", "DISK_GB"}
        assert "HW_CPU_X86_AVX2" in {trait.name for trait in sdk.placement.traits()}


def test_openstack_command_line(site: Site) -> None:
    assert [h["State"] for h in site.cli("hypervisor", "list")] == ["up", "up"]
    zones = site.cli("availability", "zone", "list")
    assert zones == [{"Zone Name": "nova", "Zone Status": "available"}]
    usage = site.cli("usage", "show", "--start", "2026-01-01")
    assert [one["name"] for one in usage["Servers"]] == ["vm1"]
    providers = site.cli("resource", "provider", "list")
    assert [each["name"] for each in providers] == ["c1.test", "c2.test"]
    held = site.cli("resource", "provider", "allocation", "show", site.server_id)
    assert held[0]["resources"] == {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}
