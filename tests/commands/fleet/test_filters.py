"""Each filter and weigher on its own facts, and the pre-filters."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from commands.fleet.aggregate import AddAggregateHost, CreateAggregate, SetAggregateMetadata
from commands.fleet.candidates import Candidates
from commands.fleet.filters.image_properties import predicates, version_meets
from commands.fleet.judges import FILTERS, WEIGHERS, Filter, Question, judges
from commands.fleet.operators import matches
from commands.fleet.place import place_servers
from commands.fleet.policy import DEFAULT_FILTERS, Policy
from events.fleet.allocation import AllocationClaimed
from events.fleet.inventory import SupportedInstance
from events.fleet.request import GroupSpec
from events.fleet.shard import AllocationRefused
from tests.commands.fleet.fleet import PROJECT, Fleet, place, register


def hosts_for(f: Fleet, *filters: str, policy: Policy | None = None, **wanted: Any) -> set[str]:
    """The hosts that a server could get under these filters."""
    made = policy or Policy(enabled_filters=filters or DEFAULT_FILTERS)
    some = judges(made)
    found = set()
    for name in f.all("host"):
        decision = place_servers(f, place("new", requested_host=name, **wanted), 1, some)
        if isinstance(decision.events[-1], AllocationClaimed):
            found.add(name)
    return found


def aggregate(id: str, metadata: dict[str, str | None], *hosts: str) -> list[Any]:
    return [
        CreateAggregate(aggregate_id=id, name=id),
        SetAggregateMetadata(aggregate_id=id, metadata=metadata),
        *(AddAggregateHost(aggregate_id=id, host=host) for host in hosts),
    ]


@pytest.mark.parametrize(
    ("value", "requirement", "holds"),
    [
        ("4", "= 3", True),
        ("2", "= 3", False),
        ("4", "== 4.0", True),
        ("4", "!= 4", False),
        ("4", ">= 4", True),
        ("4", "<= 3", False),
        ("10", ">= 9", True),
        ("10", "s>= 9", False),
        ("b", "s> a", True),
        ("b", "s< a", False),
        ("b", "s== b", True),
        ("b", "s!= b", False),
        ("b", "s<= b", True),
        ("avx vmx", "<in> vmx", True),
        ("avx vmx", "<in> svm", False),
        ("avx vmx", "<all-in> avx vmx", True),
        ("avx vmx", "<all-in> avx svm", False),
        ("kvm", "<or> qemu <or> kvm", True),
        ("xen", "<or> qemu <or> kvm", False),
        ("kvm", "kvm", True),
        ("kvm", "qemu", False),
        ("", "", True),
        ("many", ">= 4", False),
        ("4", ">=", False),
    ],
)
def test_operators(value: str, requirement: str, holds: bool) -> None:
    assert matches(value, requirement) is holds


@pytest.mark.parametrize(
    ("extra_specs", "found"),
    [
        ({"capabilities:hypervisor_type": "QEMU"}, {"a"}),
        ({"hypervisor_type": "QEMU"}, {"a"}),
        ({"capabilities:cpu_info:topology:cores": ">= 8"}, {"b"}),
        ({"capabilities:cpu_info:features": "<in> vmx"}, {"a"}),
        ({"capabilities:cpu_info:features:deeper": "1"}, set()),
        ({"capabilities:no_such": "1"}, set()),
        ({"no_such": "1"}, {"a", "b"}),
        ({"hw:numa_nodes": "2"}, {"a", "b"}),
        ({"vcpus_total": ">= 8"}, {"b"}),
        ({"capabilities:cpu_allocation_ratio": "= 4.0"}, {"a", "b"}),
    ],
)
def test_compute_capabilities(extra_specs: dict[str, str], found: set[str]) -> None:
    cpu_info = '{"features": [], "topology": {"cores": 8}}'
    f = Fleet().when(register("a"), register("b", vcpus=8, type="KVM", cpu_info=cpu_info))
    assert hosts_for(f, extra_specs=extra_specs) == found


@pytest.mark.parametrize(
    ("properties", "found"),
    [
        ({}, {"a", "b"}),
        ({"hw_architecture": "aarch64"}, {"b"}),
        ({"architecture": "amd64"}, {"a"}),
        ({"hw_vm_mode": "hvm"}, {"a", "b"}),
        ({"img_hv_type": "KVM"}, {"b"}),
        ({"img_hv_type": "qemu", "hw_architecture": "aarch64"}, set()),
        ({"hw_vm_mode": "hvm", "img_hv_requested_version": ">=8.0"}, {"b"}),
        ({"hw_vm_mode": "hvm", "img_hv_requested_version": "<8,>=7.2"}, {"a"}),
        ({"hw_vm_mode": "hvm", "img_hv_requested_version": "new"}, set()),
    ],
)
def test_image_properties(properties: dict[str, str], found: set[str]) -> None:
    arm = SupportedInstance(architecture="aarch64", hypervisor_type="kvm", vm_mode="hvm")
    f = Fleet().when(register("a"), register("b", version=9_000_001, supported_instances=[arm]))
    assert hosts_for(f, image_properties=properties) == found


def test_versions() -> None:
    assert version_meets(7_002_015, predicates("==7.2.15"))
    assert not version_meets(7_002_015, predicates("!=7.2.15"))
    assert version_meets(7_002_015, predicates("<=7.3"))


def test_hints() -> None:
    f = Fleet().when(register("a"), register("b", host_ip="10.0.9.1"))
    f.when(place("s1", requested_host="a"))
    assert hosts_for(f, scheduler_hints={"same_host": ["s1"]}) == {"a"}
    assert hosts_for(f, scheduler_hints={"same_host": ["unknown"]}) == set()
    assert hosts_for(f, scheduler_hints={"different_host": ["s1", "unknown"]}) == {"b"}
    near = {"build_near_host_ip": ["10.0.9.7"]}
    cidr = "SimpleCIDRAffinityFilter"
    assert hosts_for(f, cidr, scheduler_hints=near) == {"b"}
    assert hosts_for(f, cidr, scheduler_hints={**near, "cidr": ["/16"]}) == {"a", "b"}
    assert hosts_for(f, cidr, scheduler_hints={**near, "cidr": ["/99"]}) == set()
    assert hosts_for(f, cidr) == {"a", "b"}


def test_groups() -> None:
    f = Fleet().when(register("a"), register("b")).when(place("s1", requested_host="a"))

    def found(policy: str, members: list[str], at_most: int = 1) -> set[str]:
        group = GroupSpec(policy=policy, members=members, max_server_per_host=at_most)
        return hosts_for(f, group=group)

    assert found("anti-affinity", ["s1", "new"]) == {"b"}
    assert found("anti-affinity", ["s1", "new"], at_most=2) == {"a", "b"}
    assert found("affinity", ["s1", "new"]) == {"a"}
    assert found("affinity", ["new"]) == {"a", "b"}
    assert found("soft-affinity", ["s1", "new"]) == {"a", "b"}


def test_anti_affinity_within_one_request() -> None:
    group = GroupSpec(policy="anti-affinity", members=["s1", "s2", "s3"])
    f = Fleet().when(register("a"), register("b")).when(place("s1", "s2", group=group))
    assert sorted(f.placed().values()) == ["a", "b"]
    f.when(place("s3", group=group))
    assert f.last.events[-1].filtered[-1].filter == "ServerGroupAntiAffinityFilter"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("policy", "host"), [("soft-affinity", "b"), ("soft-anti-affinity", "a")])
def test_soft_policies_weigh(policy: str, host: str) -> None:
    group = GroupSpec(policy=policy, members=["s1", "new"])
    f = Fleet().when(register("a"), register("b")).when(place("s1", requested_host="b"))
    some = judges(Policy(multipliers={f"{policy.replace('-', '_')}_weight_multiplier": 10.0}))
    (claim,) = place_servers(f, place("new", group=group), 1, some).events
    assert isinstance(claim, AllocationClaimed)
    assert claim.host == host


def test_zones() -> None:
    f = Fleet().when(register("a"), register("b"), register("c"))
    f.when(*aggregate("one", {"availability_zone": "z1"}, "a"))
    f.when(*aggregate("two", {"availability_zone": "z2"}, "b"))
    assert hosts_for(f, availability_zone="z1") == {"a"}
    assert hosts_for(f, availability_zone="nova") == {"c"}
    assert hosts_for(f, availability_zone="z9") == set()
    assert hosts_for(f) == {"a", "b", "c"}
    (claim,) = f.when(place("s1", availability_zone="z2"))
    assert isinstance(claim, AllocationClaimed)
    assert (claim.host, claim.availability_zone) == ("b", "z2")


def test_a_forced_host_is_taken_in_whatever_zone_it_is() -> None:
    f = Fleet().when(register("a"), register("b"))
    f.when(*aggregate("one", {"availability_zone": "z1"}, "a"))
    f.when(*aggregate("two", {"availability_zone": "z2"}, "b"))
    wanted: dict[str, Any] = {"availability_zone": "z1", "requested_host": "b"}
    (claim,) = f.when(place("s1", forced=True, **wanted))
    assert isinstance(claim, AllocationClaimed)
    assert (claim.host, claim.availability_zone) == ("b", "z2")
    (refusal,) = f.when(place("s2", **wanted))
    assert isinstance(refusal, AllocationRefused)


def test_filters_by_aggregate_metadata() -> None:
    f = Fleet().when(register("a"), register("b"))
    f.when(
        *aggregate(
            "one",
            {
                "ssd": "true, very",
                "filter_tenant_id_1": f"x,{PROJECT}",
                "instance_type": "m1.tiny,m1.big",
                "os_distro": "debian",
                "max_instances_per_host": "0",
            },
            "a",
        )
    )
    f.when(*aggregate("two", {"filter_tenant_id": "x", "instance_type": "m1.big"}, "b"))

    def found(filter: str, **wanted: Any) -> set[str]:
        return hosts_for(f, filter, **wanted)

    specs = "AggregateInstanceExtraSpecsFilter"
    assert found(specs, extra_specs={"ssd": "very"}) == {"a"}
    assert found(specs, extra_specs={"aggregate_instance_extra_specs:ssd": "<or> true"}) == {"a"}
    assert found(specs, extra_specs={"hw:numa_nodes": "1"}) == {"a", "b"}
    assert found(specs, extra_specs={"ssd": "false"}) == set()
    assert found("AggregateMultiTenancyIsolation") == {"a"}
    assert found("AggregateTypeAffinityFilter") == {"a"}
    images = "AggregateImagePropertiesIsolation"
    assert found(images, image_properties={"os_distro": "fedora"}) == {"b"}
    assert found(images, image_properties={"os_distro": "debian"}) == {"a", "b"}
    assert found("AggregateNumInstancesFilter") == {"b"}
    assert found("AllHostsFilter") == {"a", "b"}


def test_image_isolation_by_namespace() -> None:
    f = Fleet().when(register("a")).when(*aggregate("one", {"os.x": "1", "x": "1"}, "a"))
    policy = Policy(
        enabled_filters=("AggregateImagePropertiesIsolation",),
        aggregate_image_properties_isolation_namespace="os",
    )
    assert hosts_for(f, policy=policy, image_properties={"x": "2"}) == {"a"}
    assert hosts_for(f, policy=policy, image_properties={"os.x": "2"}) == set()


@pytest.mark.parametrize("limit", ["\u00b2", "\u0660", "0" + "9" * 5000, "few", ""])
def test_a_limit_that_is_no_number_is_the_policys(limit: str) -> None:
    f = Fleet().when(register("a")).when(*aggregate("one", {"max_instances_per_host": limit}, "a"))
    assert hosts_for(f, "AggregateNumInstancesFilter") == {"a"}


def test_number_of_servers() -> None:
    f = Fleet().when(register("a"), register("b")).when(place("s1", requested_host="a"))
    policy = Policy(enabled_filters=("NumInstancesFilter",), max_instances_per_host=1)
    assert hosts_for(f, policy=policy) == {"b"}


def test_isolated_hosts() -> None:
    f = Fleet().when(register("a"), register("b"))

    def found(image: str, restrict: bool = True) -> set[str]:
        policy = Policy(
            enabled_filters=("IsolatedHostsFilter",),
            isolated_images=frozenset({"special"}),
            isolated_hosts=frozenset({"a"}),
            restrict_isolated_hosts_to_isolated_images=restrict,
        )
        return hosts_for(f, policy=policy, image_id=image)

    assert found("special") == {"a"}
    assert found("plain") == {"b"}
    assert found("plain", restrict=False) == {"a", "b"}


def test_an_aggregate_overrides_a_multiplier() -> None:
    f = Fleet().when(register("a", ram_mib=4608), register("b"))
    f.when(*aggregate("one", {"ram_weight_multiplier": "-5", "cpu_weight_multiplier": "x"}, "b"))
    (claim,) = f.when(place("s1"))
    assert isinstance(claim, AllocationClaimed)
    assert claim.host == "a"
    assert [score.score for score in claim.evidence.best] == [pytest.approx(2.5), pytest.approx(-3)]


def test_newer_hypervisors_weigh_more() -> None:
    f = Fleet().when(register("a"), register("b", version=9_000_000))
    (claim,) = f.when(place("s1"))
    assert isinstance(claim, AllocationClaimed)
    assert claim.host == "b"


def test_all_known_judges_are_named_as_in_nova() -> None:
    assert len(FILTERS) == 16
    assert all(name.endswith(("Filter", "Isolation")) for name in FILTERS)
    assert all(name.endswith("Weigher") for name in WEIGHERS)


@pytest.mark.parametrize(
    "requirement", [">=0," * 16_000, ">=" + "9" * 5_000, ">=" + "1." * 200 + "1", ">=9, "]
)
def test_a_version_that_means_nothing_is_met_by_no_host(requirement: str) -> None:
    f = (
        Fleet()
        .when(register("a"))
        .when(
            place(
                "s1",
                image_properties={
                    "hw_architecture": "x86_64",
                    "img_hv_requested_version": requirement,
                },
            )
        )
    )
    (refused,) = f.last.events
    assert isinstance(refused, AllocationRefused)
    assert refused.filtered[-1].filter == "ImagePropertiesFilter"


def test_what_a_user_wrote_is_read_once_and_judged_once_for_hosts_that_are_alike() -> None:
    f = Fleet().when(*(register(f"h{n}", version=7_000_000 + n % 2) for n in range(50)))
    asked = []

    def keep(candidates: Candidates, question: Question) -> Candidates:
        return candidates.of_kind(lambda host: not asked.append(host.host))  # type: ignore[func-returns-value]

    some = judges(Policy())
    counting = msgspec.structs.replace(some, filters=(Filter("Counting", keep),))
    assert place_servers(f, place("s1"), 1, counting).events
    assert len(asked) == 2
    assert predicates(">=7.0, <8") == [(">=", [7, 0, 0]), ("<", [8, 0, 0])]
    assert predicates("") == []


@pytest.mark.parametrize("digits", ["9" * 5_000, "9" * 19])
def test_numbers_without_end(digits: str) -> None:
    """They are no limit, and more than any host has; they never end a decision."""
    f = Fleet().when(register("a"), *aggregate("x", {"max_instances_per_host": digits}, "a"))
    assert hosts_for(f, "AggregateNumInstancesFilter") == {"a"}
    assert hosts_for(f, extra_specs={"resources:VCPU": digits}) == set()
    assert hosts_for(f, extra_specs={"resources:CUSTOM_GOLD": digits}) == set()
    assert hosts_for(f, extra_specs={"capabilities:free_ram_mb": f">= {digits}"}) == set()
    g = Fleet().when(register("a"), *aggregate("x", {"ram_weight_multiplier": digits}, "a"))
    assert hosts_for(g) == {"a"}
    no_host = register("b", vcpus=2**60)
    assert "must not exceed" in str(g.when(no_host).last.refusal)
