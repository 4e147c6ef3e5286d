"""Numbers, texts and nestings that no record could hold are 400 in Nova's form."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.compute.world import World

DIGITS = "9" * 5000
FLAVOR = {"name": "odd", "ram": 1, "vcpus": 1, "disk": 0}


def refused(answer: Any) -> None:
    assert answer.status_code == 400, answer.text
    assert answer.json["badRequest"]["code"] == 400
    assert answer.json["badRequest"]["message"]


@pytest.mark.parametrize("value", ["9999999999", DIGITS, "2147483648", 2147483648, 10**300])
@pytest.mark.parametrize("field", ["ram", "vcpus", "disk", "swap", "OS-FLV-EXT-DATA:ephemeral"])
def test_sizes_of_a_flavor(world: World, field: str, value: object) -> None:
    refused(world.post("/flavors", {"flavor": FLAVOR | {field: value}}, token="admin"))


@pytest.mark.parametrize("value", ["9" * 400, "1." + DIGITS, 1e39])
def test_the_rxtx_factor_of_a_flavor(world: World, value: object) -> None:
    refused(world.post("/flavors", {"flavor": FLAVOR | {"rxtx_factor": value}}, token="admin"))


def test_leading_zeros_count_for_nothing(world: World) -> None:
    body = {"flavor": FLAVOR | {"name": "zeros", "ram": "000000000000512"}}
    answer = world.post("/flavors", body, token="admin")
    assert answer.status_code == 200
    assert answer.json["flavor"]["ram"] == 512


@pytest.mark.parametrize("value", ["-2", "-999999999", "9999999999", DIGITS, "-" + DIGITS])
def test_quotas(world: World, value: str) -> None:
    refused(world.put("/os-quota-sets/" + "1" * 32, {"quota_set": {"cores": value}}, token="admin"))


def test_a_quota_may_be_no_limit(world: World) -> None:
    answer = world.put(
        "/os-quota-sets/" + "1" * 32, {"quota_set": {"cores": "-1"}}, token="project-admin"
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("field", ["min_count", "max_count"])
@pytest.mark.parametrize("value", [DIGITS, "²", 10**300])
def test_counts(world: World, field: str, value: object) -> None:
    server = {"name": "n", "imageRef": "i", "flavorRef": "1", field: value}
    refused(world.post("/servers", {"server": server}))


def test_the_length_of_a_console(world: World) -> None:
    refused(world.post("/servers/x/action", {"os-getConsoleOutput": {"length": DIGITS}}))


@pytest.mark.parametrize("version", [f"2.{DIGITS}", f"{DIGITS}.1"])
def test_a_microversion(world: World, version: str) -> None:
    assert world.get("/servers", version=version, token=None).status_code == 406


@pytest.mark.parametrize("levels", [65, 300, 1000, 50_000])
def test_nestings(world: World, levels: int) -> None:
    deep = "[" * levels + "]" * levels
    refused(world.post("/servers", '{"server": {}, "os:scheduler_hints": ' + deep + "}"))
    refused(world.post("/servers", deep))
