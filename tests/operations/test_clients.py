"""openstacksdk and novaclient against a whole site: a server's life."""

from __future__ import annotations

import novaclient.exceptions
import openstack.exceptions
import pytest

from tests.parts.site import SDK_WARNS_OF_ITSELF, Site

pytestmark = SDK_WARNS_OF_ITSELF


def test_openstacksdk(site: Site) -> None:
    with site.sdk() as cloud:
        flavor = cloud.compute.find_flavor("m1.tiny", ignore_missing=False)
        made = cloud.compute.create_server(
            name="sdk", image_id=site.image, flavor_id=flavor.id, networks="none", tags=["t"]
        )
        site.secrets.add(made.admin_password)
        server = cloud.compute.wait_for_server(made, interval=0.1, wait=60)
        assert (server.status, server.vm_state, server.tags) == ("ACTIVE", "active", ["t"])
        assert [found.id for found in cloud.compute.servers(name="sdk")] == [server.id]
        cloud.compute.set_server_metadata(server, role="web")
        assert cloud.compute.get_server_metadata(server).metadata == {"role": "web"}
        cloud.compute.stop_server(server)
        cloud.compute.wait_for_server(server, "SHUTOFF", interval=0.1, wait=60)
        with pytest.raises(openstack.exceptions.ConflictException, match="vm_state stopped"):
            cloud.compute.stop_server(server)
        cloud.compute.start_server(server)
        cloud.compute.wait_for_server(server, interval=0.1, wait=60)
        for kind in ("SOFT", "HARD"):
            cloud.compute.reboot_server(server, kind)
            cloud.compute.wait_for_server(server, interval=0.1, wait=60)
        cloud.compute.lock_server(server, "audit")
        assert cloud.compute.get_server(server).locked_reason == "audit"
        cloud.compute.unlock_server(server)
        assert "hostname sdk" in cloud.compute.get_server_console_output(server)["output"]
        actions = [action.action for action in cloud.compute.server_actions(server)]
        assert actions[-1] == "create"
        assert {"stop", "start", "reboot", "lock", "unlock"} <= set(actions)
        cloud.compute.delete_server(server)
        cloud.compute.wait_for_delete(server, interval=0.1, wait=60)
        assert cloud.compute.find_server("sdk") is None


def test_novaclient(site: Site) -> None:
    with site.nova() as nova:
        made = nova.servers.create(
            "nova", site.image, "1", nics="none", meta={"a": "b"}, config_drive=True
        )
        site.secrets.add(made.adminPass)
        site.until(lambda: nova.servers.get(made.id).status == "ACTIVE", "the server is active")
        nova.servers.set_meta(made, {"c": "d"})
        nova.servers.delete_meta(made, ["a"])
        assert nova.servers.get(made.id).metadata == {"c": "d"}
        nova.servers.add_tag(made, "t")
        assert nova.servers.tag_list(made) == ["t"]
        nova.servers.stop(made)
        site.until(lambda: nova.servers.get(made.id).status == "SHUTOFF", "the server is off")
        nova.servers.start(made)
        site.until(lambda: nova.servers.get(made.id).status == "ACTIVE", "the server is on again")
        assert "boot 2" in nova.servers.get_console_output(made)
        actions = [action.action for action in nova.instance_action.list(made.id)]
        assert actions[-1] == "create"
        create = nova.instance_action.get(
            made.id, nova.instance_action.list(made.id)[-1].request_id
        )
        assert [event["result"] for event in create.events] == ["Success"] * len(create.events)
        services = {service.binary: service.state for service in nova.services.list()}
        names = ("nova-compute", "nova-conductor", "nova-scheduler")
        assert services == dict.fromkeys(names, "up")
        nova.servers.delete(made)
        site.until(lambda: "nova" not in [s.name for s in nova.servers.list()], "it is gone")
        with pytest.raises(novaclient.exceptions.NotFound):
            nova.servers.get(made.id)
