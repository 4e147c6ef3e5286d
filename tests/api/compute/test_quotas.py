"""Quotas and limits: what is shown at each microversion, what may be set, and by whom."""

from __future__ import annotations

from typing import Any

import pytest

from commands.identity.project import CreateProject
from tests.api.compute.world import OTHER, PROJECT, World, refused

ALWAYS = {
    *("instances", "cores", "ram", "metadata_items", "key_pairs"),
    *("server_groups", "server_group_members"),
}
FILES = {"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}
NETWORK = {"fixed_ips", "floating_ips", "security_groups", "security_group_rules"}


@pytest.fixture(scope="module", autouse=True)
def other_project(world: World) -> None:
    for project_id, name in ((PROJECT, "one"), (OTHER, "two")):
        command = CreateProject(
            project_id=project_id, domain_id="default", parent_id="default", project_name=name
        )
        world.bus.send(command, "default")


def shown(world: World, path: str, version: str = "2.57", token: str = "member") -> Any:
    answer = world.get(path, version=version, token=token)
    assert answer.status_code == 200, answer.text
    return next(iter(answer.json.values()))


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("2.1", ALWAYS | FILES | NETWORK),
        ("2.35", ALWAYS | FILES | NETWORK),
        ("2.36", ALWAYS | FILES),
        ("2.56", ALWAYS | FILES),
        ("2.57", ALWAYS),
    ],
)
def test_resources_by_microversion(world: World, version: str, names: set[str]) -> None:
    path = f"/os-quota-sets/{PROJECT}"
    assert set(shown(world, path, version)) == names | {"id"}
    assert set(shown(world, f"{path}/defaults", version)) == names | {"id"}
    detail = shown(world, f"{path}/detail", version)
    assert detail.pop("id") == PROJECT
    assert set(detail) == names
    assert all(set(row) == {"limit", "in_use", "reserved"} for row in detail.values())


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("2.49", ALWAYS - {"server_groups", "server_group_members"} | FILES | NETWORK),
        ("2.50", ALWAYS | FILES),
        ("2.57", ALWAYS),
    ],
)
def test_the_class(world: World, version: str, names: set[str]) -> None:
    path = "/os-quota-class-sets/default"
    body = shown(world, path, version, "admin")
    assert set(body) == names | {"id"}
    assert (body["id"], body["instances"], body["ram"]) == ("default", 10, 51200)
    change = {"quota_class_set": {"instances": 20}}
    answer = world.put(path, change, version=version, token="admin")
    refused(answer, 400, "badRequest", "cannot be changed")
    refused(world.get(path, version=version), 403, "forbidden", "os-quota-class-sets:show")
    refused(world.put(path, change), 403, "forbidden", "os-quota-class-sets:update")


def test_set_use_and_reset(world: World) -> None:
    path = f"/os-quota-sets/{OTHER}"
    body = {"quota_set": {"instances": 3, "cores": "-1", "force": "False"}}
    answer = world.put(path, body, version="2.57", token="admin")
    assert answer.status_code == 200, answer.text
    assert set(answer.json["quota_set"]) == ALWAYS
    quota = shown(world, path, token="stranger")
    assert (quota["instances"], quota["cores"], quota["ram"]) == (3, -1, 51200)
    world.boot(token="stranger")
    world.boot(token="stranger")
    detail = shown(world, f"{path}/detail", token="stranger")
    assert detail["instances"] == {"limit": 3, "in_use": 2, "reserved": 0}
    assert detail["cores"] == {"limit": -1, "in_use": 2, "reserved": 0}
    assert detail["ram"]["in_use"] == 1024
    low = {"quota_set": {"instances": 1}}
    answer = world.put(path, low, version="2.57", token="admin")
    refused(answer, 400, "badRequest", "already used")
    low["quota_set"]["force"] = True
    assert world.put(path, low, version="2.57", token="admin").json["quota_set"]["instances"] == 1
    answer = world.create(token="stranger")
    refused(answer, 403, "forbidden", "Quota exceeded for instances")
    assert world.delete(path, token="admin").status_code == 202
    assert shown(world, path, token="stranger")["instances"] == 10
    assert shown(world, f"{path}/defaults", token="stranger")["instances"] == 10


@pytest.mark.parametrize(
    "values",
    [{"instances": -2}, {"ram": "lots"}, {"cores": 2**31}, {"tea": 1}, {"injected_files": 1}],
)
def test_limits_that_cannot_be(world: World, values: dict[str, Any]) -> None:
    path = f"/os-quota-sets/{OTHER}"
    answer = world.put(path, {"quota_set": values}, version="2.57", token="admin")
    refused(answer, 400, "badRequest")


def test_network_resources_are_taken_and_forgotten(world: World) -> None:
    body = {"quota_set": {"floating_ips": 5}}
    answer = world.put(f"/os-quota-sets/{OTHER}", body, version="2.35", token="admin")
    assert answer.json["quota_set"]["floating_ips"] == -1
    answer = world.put(f"/os-quota-sets/{OTHER}", body, version="2.36", token="admin")
    refused(answer, 400, "badRequest", "floating_ips")


@pytest.mark.parametrize("suffix", ["", "/detail", "/defaults"])
def test_an_unknown_project(world: World, suffix: str) -> None:
    answer = world.get(f"/os-quota-sets/nobody{suffix}", token="admin")
    refused(answer, 400, "badRequest", "nobody is not a valid project")
    if not suffix:
        answer = world.put("/os-quota-sets/nobody", {"quota_set": {"ram": 1}}, token="admin")
        refused(answer, 400, "badRequest", "nobody is not a valid project")


def test_one_users_quota_is_refused(world: World) -> None:
    body = {"quota_set": {"ram": 1}}
    answer = world.put(f"/os-quota-sets/{OTHER}?user_id=bob", body, token="admin")
    refused(answer, 400, "badRequest", "single users")


def test_whose(world: World) -> None:
    path = f"/os-quota-sets/{OTHER}"
    refused(world.get(path), 403, "forbidden", "os-quota-sets:show")
    refused(world.get(f"{path}/detail"), 403, "forbidden", "os-quota-sets:detail")
    assert world.get(f"{path}/defaults").status_code == 200
    body = {"quota_set": {"ram": 1}}
    refused(world.put(path, body, token="stranger"), 403, "forbidden", "os-quota-sets:update")
    refused(world.delete(path, token="stranger"), 403, "forbidden", "os-quota-sets:delete")


@pytest.mark.parametrize(
    ("version", "gone"),
    [
        ("2.1", set()),
        (
            "2.36",
            {
                *("maxSecurityGroups", "maxSecurityGroupRules", "maxTotalFloatingIps"),
                *("totalFloatingIpsUsed", "totalSecurityGroupsUsed"),
            },
        ),
        ("2.39", {"maxImageMeta"}),
        ("2.57", {"maxPersonality", "maxPersonalitySize"}),
    ],
)
def test_limits(world: World, version: str, gone: set[str]) -> None:
    everything = set(shown(world, "/limits", "2.1")["absolute"])
    limits = shown(world, "/limits?reserved=False", version)
    assert limits["rate"] == []
    assert gone.isdisjoint(limits["absolute"])
    assert gone <= everything
    assert limits["absolute"]["maxTotalKeypairs"] == 100


def test_limits_say_what_is_used(world: World) -> None:
    before = shown(world, "/limits")["absolute"]
    world.boot()
    after = shown(world, "/limits")["absolute"]
    assert after["totalInstancesUsed"] == before["totalInstancesUsed"] + 1
    assert after["totalCoresUsed"] == before["totalCoresUsed"] + 1
    assert after["totalRAMUsed"] == before["totalRAMUsed"] + 512
    assert after["maxTotalInstances"] == -1
    admins = shown(world, f"/limits?tenant_id={PROJECT}", token="admin")["absolute"]
    assert admins == after
    answer = world.get(f"/limits?tenant_id={OTHER}")
    refused(answer, 403, "forbidden", "limits:other_project")
