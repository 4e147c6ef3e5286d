"""What a site refuses, and how it says so: limits, no room, other people's servers, bad tokens."""

from __future__ import annotations

import re
import time

import msgspec
import openstack.exceptions
import pytest
import requests

from api.services import ApiSettings
from api.tokens.claims import seal, unseal
from api.tokens.keys import TokenKeys
from tests.parts.site import SDK_WARNS_OF_ITSELF, Site

pytestmark = SDK_WARNS_OF_ITSELF

BOOT = ("server", "create", "--image", "demo", "--nic", "none", "--flavor")


def test_over_the_quota_nothing_is_made(site: Site) -> None:
    refused = site.openstack(*BOOT, "m1.xlarge", "--min", "4", "--max", "4", "over", code=1)
    wanted = r"Quota exceeded for cores, ram: Requested 32, 65536, but already used \d+, \d+ of "
    assert re.search(wanted + "20, 51200 cores, ram", refused.error), refused.error
    assert "Traceback" not in refused.error
    assert site.shown("server", "list", "--name", "^over") == []


def test_without_a_host_the_fault_and_explain_say_why(site: Site) -> None:
    site.openstack("flavor", "create", "--ram", "64", "--vcpus", "1", "--disk", "99999", "vast")
    failed = site.openstack(*BOOT, "vast", "--wait", "nowhere", code=1)
    assert "Error creating server: nowhere" in failed.error
    shown = site.shown("server", "show", "nowhere")
    assert (shown["status"], shown["OS-EXT-STS:vm_state"]) == ("ERROR", "error")
    assert shown["fault"]["code"] == 500
    assert shown["fault"]["message"].startswith("No valid host was found.")
    assert "0 hosts left" in shown["fault"]["details"]
    explained = site.chronova("explain", "nowhere").out
    assert re.search(r"^Attempt 1: No valid host was found\.", explained)
    assert re.search(r"^ +1 host\n +0 after Capacity$", explained, re.M)
    assert "PlacementFailed" in site.chronova("trace", "nowhere").out
    site.openstack("server", "delete", "--wait", "nowhere")
    site.openstack("flavor", "delete", "vast")


def test_a_member_sees_only_its_own(site: Site) -> None:
    with site.sdk() as admin, site.sdk("demo") as demo:
        image = site.image
        made = {
            name: cloud.compute.create_server(
                name=name, image_id=image, flavor_id="1", networks="none"
            )
            for name, cloud in (("of-admin", admin), ("of-demo", demo))
        }
        for name, cloud in (("of-admin", admin), ("of-demo", demo)):
            site.secrets.add(made[name].admin_password)
            cloud.compute.wait_for_server(made[name], interval=0.1, wait=60)
        assert [server.name for server in demo.compute.servers()] == ["of-demo"]
        everyone = {server.name for server in admin.compute.servers(all_projects=True)}
        assert {"of-admin", "of-demo"} <= everyone
        foreign = made["of-admin"].id
        for act in (demo.compute.get_server, demo.compute.stop_server, demo.compute.delete_server):
            with pytest.raises(openstack.exceptions.NotFoundException, match="could not be found"):
                act(
                    foreign,
                    **({"ignore_missing": False} if act.__name__ == "delete_server" else {}),
                )
        with pytest.raises(openstack.exceptions.ForbiddenException, match="Policy doesn't allow"):
            list(demo.compute.servers(all_projects=True))
        with pytest.raises(openstack.exceptions.ForbiddenException, match="Policy doesn't allow"):
            list(demo.compute.services())
        assert admin.compute.get_server(foreign).status == "ACTIVE"
        for name, cloud in (("of-admin", admin), ("of-demo", demo)):
            cloud.compute.delete_server(made[name])
            cloud.compute.wait_for_delete(made[name], interval=0.1, wait=60)


def test_tokens_that_do_not_hold(site: Site) -> None:
    url = f"{site.settings.url}/compute/v2.1/servers"
    with site.sdk() as cloud:
        token = cloud.auth_token
        site.secrets.add(token)
        keys = TokenKeys(ApiSettings(data_path=site.data).token_keys_path)
        past = msgspec.structs.replace(
            unseal(keys, token), expires_at=(time.time_ns() // 1000) - 1_000_000
        )
        bad = ["", "nonsense", token[:-4] + "AAAA", "é" * 40, "x" * 5000, seal(keys, past)]
        for each in bad:
            answer = requests.get(url, headers={"X-Auth-Token": each.encode()}, timeout=30)
            assert answer.status_code == 401, each
            assert "Keystone uri=" in answer.headers["WWW-Authenticate"]
        assert requests.get(url, headers={"X-Auth-Token": token}, timeout=30).status_code == 200
        revoked = requests.delete(
            f"{site.settings.url}/identity/v3/auth/tokens",
            headers={"X-Auth-Token": token, "X-Subject-Token": token},
            timeout=30,
        )
        assert revoked.status_code == 204
        assert requests.get(url, headers={"X-Auth-Token": token}, timeout=30).status_code == 401


def test_a_wrong_password(site: Site) -> None:
    command = ("--os-password", "wrong", "server", "list")
    refused = site.openstack(*command, code=1)
    assert "The request you have made requires authentication. (HTTP 401)" in refused.error
    assert "Traceback" not in refused.error
