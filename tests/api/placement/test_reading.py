"""What placement shows of the fleet, at each microversion."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from commands.fleet.service import DisableService, EnableService
from tests.api.compute.world import PROJECT
from tests.api.placement.conftest import RACK, Placement

C1 = str(uuid.uuid5(uuid.NAMESPACE_DNS, "node c1"))
C2 = str(uuid.uuid5(uuid.NAMESPACE_DNS, "node c2"))
HELD = {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}


def names(placement: Placement, query: str, version: str = "1.39") -> list[str]:
    body: Any = placement.get(f"/resource_providers{query}", version)
    return [provider["name"] for provider in body["resource_providers"]]


def test_providers(placement: Placement) -> None:
    body: Any = placement.get("/resource_providers", None)
    first = body["resource_providers"][0]
    assert set(first) == {"uuid", "name", "generation", "links"}
    assert (first["uuid"], first["name"]) == (C1, "c1.test")
    assert [link["rel"] for link in first["links"]] == ["self", "inventories", "usages"]
    whole: Any = placement.get(f"/resource_providers/{C1}")
    assert (whole["parent_provider_uuid"], whole["root_provider_uuid"]) == (None, C1)
    assert {"rel": "self", "href": f"/placement/resource_providers/{C1}"} in whole["links"]
    assert {link["rel"] for link in whole["links"]} >= {"aggregates", "traits", "allocations"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?name=c2.test", ["c2.test"]),
        (f"?uuid={C1}", ["c1.test"]),
        (f"?uuid={uuid.uuid4()}", []),
        (f"?in_tree={C2}", ["c2.test"]),
        ("?resources=VCPU:2", ["c1.test", "c2.test"]),
        ("?resources=VCPU:3,MEMORY_MB:1", ["c1.test"]),
        ("?resources=VCPU:64", []),
        ("?resources=VGPU:1", []),
        (f"?member_of={RACK}", ["c2.test"]),
        (f"?member_of=!{RACK}", ["c1.test"]),
        (f"?member_of=in:{RACK},{uuid.uuid4()}", ["c2.test"]),
        (f"?member_of={RACK}&member_of={uuid.uuid4()}", []),
        ("?required=HW_CPU_X86_AVX2", []),
        ("?required=!HW_CPU_X86_AVX2", ["c1.test", "c2.test"]),
        ("?required=in:HW_CPU_X86_AVX2,HW_CPU_X86_AVX", []),
    ],
)
def test_filters(placement: Placement, query: str, found: list[str]) -> None:
    assert names(placement, query) == found


@pytest.mark.parametrize(
    ("query", "version", "text"),
    [
        ("?colour=red", "1.39", "colour"),
        ("?resources=VCPU:1", "1.3", "resources"),
        ("?member_of=x", "1.39", "uuid"),
        (f"?member_of=!{RACK}", "1.31", "Forbidden"),
        (f"?member_of={RACK}&member_of={RACK}", "1.23", "Duplicate"),
        ("?uuid=x", "1.39", "uuid"),
        ("?in_tree=x", "1.39", "uuid"),
        ("?name=a&name=b", "1.39", "Duplicate"),
        ("?resources=", "1.39", "Badly formed"),
        ("?resources=VCPU", "1.39", "Badly formed"),
        ("?resources=VCPU:0", "1.39", "Badly formed"),
        ("?resources=VCPU:99999999999", "1.39", "Badly formed"),
        ("?resources=TEA:1", "1.39", "TEA"),
        ("?required=NO_SUCH_TRAIT", "1.39", "NO_SUCH_TRAIT"),
        ("?required=", "1.39", "Expected"),
        ("?required=!HW_CPU_X86_AVX", "1.21", "Expected"),
        ("?required=in:HW_CPU_X86_AVX", "1.38", "Expected"),
        ("?required=HW_CPU_X86_AVX,!HW_CPU_X86_AVX", "1.39", "Expected"),
    ],
)
def test_filters_that_cannot_be(placement: Placement, query: str, version: str, text: str) -> None:
    answer = placement.request("GET", f"/resource_providers{query}", version=version)
    assert answer.status_code == 400, answer.text
    (error,) = answer.json["errors"]
    assert text in error["detail"]
    assert (error["status"], error["title"]) == (400, "Bad Request")


def test_inventories_and_usages(placement: Placement) -> None:
    path = f"/resource_providers/{C1}"
    body: Any = placement.get(f"{path}/inventories")
    assert body["inventories"]["VCPU"] == {
        "total": 64,
        "reserved": 0,
        "min_unit": 1,
        "max_unit": 64,
        "step_size": 1,
        "allocation_ratio": 1.0,
    }
    assert set(body["inventories"]) == {"VCPU", "MEMORY_MB", "DISK_GB"}
    one: Any = placement.get(f"{path}/inventories/DISK_GB")
    assert one["total"] == 10_000
    assert one["resource_provider_generation"] == body["resource_provider_generation"]
    answer = placement.request("GET", f"{path}/inventories/VGPU")
    assert answer.status_code == 404
    used: Any = placement.get(f"{path}/usages")
    assert used["usages"] == HELD
    idle: Any = placement.get(f"/resource_providers/{C2}/usages")
    assert idle["usages"] == dict.fromkeys(HELD, 0)


def test_the_generation_rises_with_each_allocation(placement: Placement) -> None:
    def generation() -> int:
        body: Any = placement.get(f"/resource_providers/{C1}")
        return int(body["generation"])

    before = generation()
    server_id = placement.world.boot()
    claimed = generation()
    assert claimed > before
    placement.world.delete(f"/servers/{server_id}")
    placement.world.work()
    assert generation() > claimed


def test_aggregates_and_traits(placement: Placement) -> None:
    path = f"/resource_providers/{C2}"
    old: Any = placement.get(f"{path}/aggregates", "1.18")
    assert old == {"aggregates": [RACK]}
    new: Any = placement.get(f"{path}/aggregates", "1.19")
    assert set(new) == {"aggregates", "resource_provider_generation"}
    placement.world.bus.send(DisableService(host="c2"), "default")
    try:
        body: Any = placement.get(f"{path}/traits")
        assert body["traits"] == ["COMPUTE_STATUS_DISABLED"]
        assert names(placement, "?required=!COMPUTE_STATUS_DISABLED") == ["c1.test"]
        used: Any = placement.get("/traits?associated=true")
        assert used["traits"] == ["COMPUTE_STATUS_DISABLED"]
    finally:
        placement.world.bus.send(EnableService(host="c2"), "default")


def test_allocations(placement: Placement) -> None:
    path = f"/allocations/{placement.server_id}"
    oldest: Any = placement.get(path, "1.0")
    assert list(oldest) == ["allocations"]
    assert oldest["allocations"][C1]["resources"] == HELD
    assert set(oldest["allocations"][C1]) == {"resources", "generation"}
    owned: Any = placement.get(path, "1.12")
    assert (owned["project_id"], owned["user_id"]) == (PROJECT, "alice")
    newest: Any = placement.get(path, "1.38")
    assert (newest["consumer_generation"], newest["consumer_type"]) == (1, "INSTANCE")
    assert placement.get(f"/allocations/{uuid.uuid4()}") == {"allocations": {}}
    held: Any = placement.get(f"/resource_providers/{C1}/allocations")
    assert held["allocations"][placement.server_id] == {
        "resources": HELD,
        "consumer_generation": 1,
    }
    old: Any = placement.get(f"/resource_providers/{C1}/allocations", "1.27")
    assert old["allocations"] == {placement.server_id: {"resources": HELD}}
    none: Any = placement.get(f"/resource_providers/{C2}/allocations")
    assert none["allocations"] == {}


def test_usages_of_a_project(placement: Placement) -> None:
    path = f"/usages?project_id={PROJECT}"
    old: Any = placement.get(path, "1.9")
    assert old == {"usages": HELD}
    new: Any = placement.get(f"{path}&user_id=alice", "1.38")
    assert new == {"usages": {"INSTANCE": {**HELD, "consumer_count": 1}}}
    every: Any = placement.get(f"{path}&consumer_type=all", "1.38")
    assert list(every["usages"]) == ["all"]
    assert placement.get(f"{path}&consumer_type=MIGRATION", "1.38") == {"usages": {}}
    assert placement.get(f"{path}&user_id=bob") == {"usages": {}}
    assert placement.get(path, token="reader") == new
    answer = placement.request("GET", path, token="stranger")
    assert answer.status_code == 403
    answer = placement.request("GET", "/usages")
    assert answer.status_code == 400
    assert answer.json["errors"][0]["code"] == "placement.query.missing_value"


def test_resource_classes(placement: Placement) -> None:
    body: Any = placement.get("/resource_classes")
    assert [each["name"] for each in body["resource_classes"]][:3] == list(HELD)
    shown: Any = placement.get("/resource_classes/VCPU")
    assert shown["links"] == [{"rel": "self", "href": "/placement/resource_classes/VCPU"}]
    assert placement.request("GET", "/resource_classes/TEA").status_code == 404
    assert placement.request("GET", "/resource_classes", version="1.1").status_code == 404


def test_traits(placement: Placement) -> None:
    everything: Any = placement.get("/traits")
    assert "HW_CPU_X86_AVX2" in everything["traits"]
    some: Any = placement.get("/traits?name=startswith:HW_CPU_X86_AVX5")
    assert all(trait.startswith("HW_CPU_X86_AVX5") for trait in some["traits"])
    assert some["traits"]
    two: Any = placement.get("/traits?name=in:HW_CPU_X86_AVX,TEA&associated=false")
    assert two["traits"] == ["HW_CPU_X86_AVX"]
    assert placement.request("GET", "/traits/HW_CPU_X86_AVX").status_code == 204
    assert placement.request("GET", "/traits/TEA").status_code == 404
    for query in ("name=HW", "associated=maybe"):
        assert placement.request("GET", f"/traits?{query}").status_code == 400


def test_candidates(placement: Placement) -> None:
    path = "/allocation_candidates?resources=VCPU:2,MEMORY_MB:64"
    old: Any = placement.get(path, "1.10")
    assert old["allocation_requests"][1] == {
        "allocations": [
            {"resource_provider": {"uuid": C2}, "resources": {"VCPU": 2, "MEMORY_MB": 64}}
        ]
    }
    assert old["provider_summaries"][C1] == {
        "resources": {
            "VCPU": {"capacity": 64, "used": 1},
            "MEMORY_MB": {"capacity": 64 * 4096, "used": 512},
        }
    }
    new: Any = placement.get(f"{path}&limit=1&member_of={RACK}")
    assert new["allocation_requests"] == [
        {
            "allocations": {C2: {"resources": {"VCPU": 2, "MEMORY_MB": 64}}},
            "mappings": {"": [C2]},
        }
    ]
    assert set(new["provider_summaries"][C2]) == {
        *("resources", "traits", "parent_provider_uuid", "root_provider_uuid")
    }
    none: Any = placement.get("/allocation_candidates?resources=VCPU:999")
    assert none == {"allocation_requests": [], "provider_summaries": {}}
    for query in ("", "?resources=VCPU:1&limit=0", "?resources=VCPU:1&resources1=VCPU:1"):
        answer = placement.request("GET", f"/allocation_candidates{query}")
        assert answer.status_code == 400


@pytest.mark.parametrize("path", ["", "/inventories", "/usages", "/aggregates", "/traits"])
def test_an_unknown_provider(placement: Placement, path: str) -> None:
    id = uuid.uuid4()
    answer = placement.request("GET", f"/resource_providers/{id}{path}")
    assert answer.status_code == 404
    assert str(id) in answer.json["errors"][0]["detail"]
